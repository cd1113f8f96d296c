import type { CallOptions } from "../../checkpoints/store.ts";
import { DeadLetterError } from "../../errors.ts";
import { decodeDeadLetter, encodeDeadLetter } from "./dead-letter-json.ts";
import { checkListOptions } from "./dead-letter-list.ts";
import {
  pointerTo,
  type DeadLetter,
  type DeadLetterListOptions,
  type DeadLetterPage,
  type DeadLetterTable,
} from "./dead-letter.ts";
import { requestsOf } from "./letter-requests.ts";

/** A letter as the row of a table, or as an item with these attributes. */
export interface LetterRow {
  readonly id: string;
  readonly application: string;
  /** All but the data, as JSON. */
  readonly letter: string;
  /** Undefined = the row is a pointer. */
  readonly data: Uint8Array | undefined;
  /** Of all of these, in UTF-8. */
  readonly bytes: number;
}

/** What is read of a row. */
export type StoredLetter = Pick<LetterRow, "letter" | "data">;

export interface LetterLimits {
  /** The most rows of one `put`, and their bytes; a single row may have more. */
  readonly most: number;
  readonly maxBytes: number;
  /** The most bytes of a row; with more it becomes a pointer. Infinity = any record fits. */
  readonly maxRowBytes: number;
}

/** A table of dead letters in a store's database: its statements. What fails is a StoreError. */
export interface LetterStatements {
  /** For messages: `Postgres table "letters"`. */
  readonly where: string;
  /** Makes the table unless it is there. */
  setup(options: CallOptions): Promise<void>;
  limits(options: CallOptions): Promise<LetterLimits>;
  /** Puts all rows, in place of those with their ids. No two have the same one. */
  put(rows: readonly LetterRow[], options: CallOptions): Promise<void>;
  /**
   * In an order of the table's own: the first `limit` after the id `after` (empty = from the first one);
   * of an application, or undefined = of all.
   */
  page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]>;
  get(id: string): Promise<StoredLetter | undefined>;
  remove(ids: readonly string[]): Promise<void>;
}

const MOST_REMOVED = 500;

/** The dead letters of a store: what all of them do around their statements. */
export class StatementsDeadLetterTable implements DeadLetterTable {
  readonly #statements: LetterStatements;
  #closed = false;

  constructor(statements: LetterStatements) {
    this.#statements = statements;
  }

  async setup(options: CallOptions = {}): Promise<void> {
    this.#checkOpen();
    await this.#statements.setup(options);
  }

  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#checkOpen();
    signal.throwIfAborted();
    if (letters.length === 0) return;
    const limits = await this.#statements.limits({ signal });
    for (const rows of requestsOf(letterRowsOf(letters, limits.maxRowBytes), limits)) {
      await this.#statements.put(rows, { signal });
    }
  }

  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    this.#checkOpen();
    const { application, limit, after = "" } = checkListOptions(options);
    const rows = await this.#statements.page(application, after, limit + 1);
    const page = rows.slice(0, limit);
    const letters = page.map(letterOf);
    return rows.length > limit ? { letters, next: page.at(-1)!.id } : { letters };
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    this.#checkOpen();
    const row = await this.#statements.get(id);
    return row && letterOf(row);
  }

  async remove(ids: readonly string[]): Promise<void> {
    this.#checkOpen();
    for (let from = 0; from < ids.length; from += MOST_REMOVED) {
      await this.#statements.remove(ids.slice(from, from + MOST_REMOVED));
    }
  }

  /** The store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new DeadLetterError("DEAD_LETTERS_CLOSED", `${this.#statements.where}: it was closed`);
  }
}

/** Made when their turn comes; the last letter of an id in place of those before it. */
export function* letterRowsOf(
  letters: readonly DeadLetter[],
  maxRowBytes: number,
): Generator<LetterRow> {
  const last = new Map(letters.map((letter) => [letter.id, letter]));
  for (const letter of last.values()) yield rowOf(letter, maxRowBytes);
}

function rowOf(letter: DeadLetter, maxRowBytes: number): LetterRow {
  const { id, application, data } = letter;
  const text = encodeDeadLetter(pointerTo(letter));
  const beside = [id, application, text].reduce((sum, each) => sum + Buffer.byteLength(each), 0);
  const bytes = beside + (data?.length ?? 0);
  const row = { id, application, letter: text };
  return bytes <= maxRowBytes
    ? { ...row, data, bytes }
    : { ...row, data: undefined, bytes: beside };
}

/** @throws DeadLetterError DEAD_LETTERS_CORRUPT for a row of somebody else's */
function letterOf({ letter, data }: StoredLetter): DeadLetter {
  return { ...decodeDeadLetter(letter), data };
}
