import { DeadLetterError } from "../../errors.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { checkListOptions } from "./dead-letter-list.ts";
import type {
  DeadLetter,
  DeadLetterListOptions,
  DeadLetterPage,
  ReadableDeadLetterQueue,
} from "./dead-letter.ts";

/**
 * A dead-letter queue in this process's memory, for tests and as the reference implementation. Its letters
 * are lost when the process ends.
 */
export class MemoryDeadLetterQueue implements ReadableDeadLetterQueue {
  readonly #letters: Map<string, DeadLetter>;
  #closed = false;

  /** @param options.data letters by id; queues on the same map hold the same letters */
  constructor(options: { readonly data?: Map<string, DeadLetter> } = {}) {
    checkOptionNames("MemoryDeadLetterQueue", options, ["data"]);
    this.#letters = options.data ?? new Map<string, DeadLetter>();
  }

  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#enter();
    signal.throwIfAborted();
    for (const letter of letters) this.#letters.set(letter.id, structuredClone(letter));
  }

  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    this.#enter();
    const { application, limit, after = "" } = checkListOptions(options);
    const rest = [...this.#letters.values()]
      .filter((letter) => application === undefined || letter.application === application)
      .filter(({ id }) => id > after)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const letters = rest.slice(0, limit).map((letter) => structuredClone(letter));
    const last = letters.at(-1);
    return last === undefined || rest.length <= limit ? { letters } : { letters, next: last.id };
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    this.#enter();
    return structuredClone(this.#letters.get(id));
  }

  async remove(ids: readonly string[]): Promise<void> {
    this.#enter();
    for (const id of ids) this.#letters.delete(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #enter(): void {
    if (!this.#closed) return;
    throw new DeadLetterError("DEAD_LETTERS_CLOSED", "the memory queue was closed");
  }
}
