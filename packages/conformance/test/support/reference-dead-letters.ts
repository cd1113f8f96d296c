import {
  DeadLetterError,
  MemoryDeadLetterQueue,
  type DeadLetter,
  type DeadLetterListOptions,
  type DeadLetterPage,
} from "@kc/core";
import { pointerTo } from "@kc/core/adapter";
import type { DeadLetterHarness } from "../../src/index.ts";

/** Where the letters of one harness lie. */
export class ReferencePlace {
  readonly letters = new Map<string, DeadLetter>();
  reachable = true;
}

/** What bytes of data a letter can have here. */
export const MAX_BYTES = 100_000;

/** The queue that the mutants are made from: a MemoryDeadLetterQueue with a limit, and with outages. */
export class ReferenceQueue extends MemoryDeadLetterQueue {
  readonly place: ReferencePlace;

  constructor(place: ReferencePlace) {
    super({ data: place.letters });
    this.place = place;
  }

  override async send(
    letters: readonly DeadLetter[],
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    await this.reach(options.signal);
    await super.send(
      letters.map((letter) => this.fitted(letter)),
      options,
    );
  }

  override async list(options?: DeadLetterListOptions): Promise<DeadLetterPage> {
    return super.list(options);
  }

  /** Takes as long as a round trip does, and fails in an outage. */
  async reach(signal: AbortSignal): Promise<void> {
    if (this.place.reachable) return;
    await Promise.resolve();
    signal.throwIfAborted();
    throw new DeadLetterError("DEAD_LETTERS_UNAVAILABLE", "out of reach", { retryable: true });
  }

  fitted(letter: DeadLetter): DeadLetter {
    return (letter.data?.length ?? 0) > MAX_BYTES ? pointerTo(letter) : letter;
  }
}

export type ReferenceQueueClass = new (place: ReferencePlace) => ReferenceQueue;

export function deadLetterHarness(
  Class: ReferenceQueueClass = ReferenceQueue,
  place = new ReferencePlace(),
): DeadLetterHarness {
  return {
    maxDataBytes: MAX_BYTES,
    open: async () => new Class(place),
    letters: async () => [...place.letters.values()],
    breakConnection: async () => {
      place.reachable = false;
    },
    restore: async () => {
      place.reachable = true;
    },
    async [Symbol.asyncDispose]() {
      place.letters.clear();
    },
  };
}
