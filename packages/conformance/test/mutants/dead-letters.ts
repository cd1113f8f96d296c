import type { DeadLetter, DeadLetterListOptions, DeadLetterPage } from "@kc/core";
import type { DeadLetterHarness } from "../../src/index.ts";
import {
  deadLetterHarness,
  MAX_BYTES,
  ReferencePlace,
  ReferenceQueue,
  type ReferenceQueueClass,
} from "../support/reference-dead-letters.ts";

type SendOptions = { readonly signal: AbortSignal };

/** A queue (or a harness) with one fault, and the scenarios that are there to find it. */
export interface DeadLetterMutant {
  readonly name: string;
  readonly caughtBy: readonly string[];
  readonly makeHarness: () => Promise<DeadLetterHarness>;
}

function mutant(
  name: string,
  caughtBy: string | readonly string[],
  Class: ReferenceQueueClass,
): DeadLetterMutant {
  return { name, caughtBy: [caughtBy].flat(), makeHarness: async () => deadLetterHarness(Class) };
}

/** Holds each letter as something else. */
function holding(
  name: string,
  caughtBy: string | readonly string[],
  change: (letter: DeadLetter) => DeadLetter,
): DeadLetterMutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceQueue {
      override fitted(letter: DeadLetter): DeadLetter {
        return change(super.fitted(letter));
      }
    },
  );
}

/** Sends something else than it was given. */
function sending(
  name: string,
  caughtBy: string | readonly string[],
  change: (letters: readonly DeadLetter[], place: ReferencePlace) => readonly DeadLetter[],
): DeadLetterMutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceQueue {
      override send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        return super.send(change(letters, this.place), options);
      }
    },
  );
}

const NONE = new AbortController().signal;
const onePlace = new ReferencePlace();
const latin1 = new TextDecoder("latin1");

const sendingMutants: readonly DeadLetterMutant[] = [
  {
    name: "shares its place with another harness",
    caughtBy: ["harness.isolated"],
    makeHarness: async () => deadLetterHarness(ReferenceQueue, onePlace),
  },
  holding("forgets the ARN", "send.whole", ({ streamARN: _arn, ...letter }) => letter),
  holding("takes a sub-sequence number of 0 for none", "send.whole", (letter) => {
    const { subSequenceNumber, ...rest } = letter;
    return subSequenceNumber ? letter : rest;
  }),
  holding("keeps times in seconds", "send.whole", (letter) => ({
    ...letter,
    firstFailedAt: new Date(Math.floor(letter.firstFailedAt.getTime() / 1000) * 1000 + 1),
  })),
  holding("forgets the code of the error", "send.whole", ({ error, ...letter }) => ({
    ...letter,
    error: { name: error.name, message: error.message },
  })),
  holding("gives a letter without a partition key an empty one", "send.bare", (letter) => ({
    partitionKey: "",
    ...letter,
  })),
  holding("keeps an absent member as undefined", "send.bare", (letter) =>
    Object.assign({ partitionKey: undefined }, letter),
  ),
  holding("trims keys", "send.odd", (letter) => ({
    ...letter,
    ...(letter.partitionKey !== undefined && { partitionKey: letter.partitionKey.trim() }),
  })),
  holding("keeps data as text", "send.odd", (letter) => ({
    ...letter,
    data: letter.data && new TextEncoder().encode(latin1.decode(letter.data)),
  })),
  holding("takes data without a byte for none", "send.empty-data", (letter) => ({
    ...letter,
    data: letter.data?.length ? letter.data : undefined,
  })),
  holding("keeps the whole buffer", "send.view", (letter) => ({
    ...letter,
    data: letter.data && new Uint8Array(letter.data.buffer),
  })),
  mutant(
    "keeps the caller's bytes",
    "send.view",
    class extends ReferenceQueue {
      override async send(letters: readonly DeadLetter[]): Promise<void> {
        for (const letter of letters) this.place.letters.set(letter.id, this.fitted(letter));
      }
    },
  ),
  mutant(
    "fails without letters",
    "send.none",
    class extends ReferenceQueue {
      override async send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        if (letters.length > 0) return super.send(letters, options);
        throw new Error("a request needs an entry");
      }
    },
  ),
  sending("sends the first hundred", ["send.many"], (letters) => letters.slice(0, 100)),
  sending("sends what fits into a request", "send.heavy", (letters) => {
    let bytes = 0;
    return letters.filter(({ data }) => (bytes += data?.length ?? 0) <= 1_048_576);
  }),
  mutant(
    "cuts data above its limit",
    "send.large",
    class extends ReferenceQueue {
      override fitted(letter: DeadLetter): DeadLetter {
        return { ...letter, data: letter.data?.subarray(0, MAX_BYTES) };
      }
    },
  ),
  mutant(
    "takes its limit for too large",
    "send.large",
    class extends ReferenceQueue {
      override fitted(letter: DeadLetter): DeadLetter {
        return (letter.data?.length ?? 0) < MAX_BYTES ? letter : { ...letter, data: undefined };
      }
    },
  ),
  sending("leaves out what is too large", "send.large", (letters) =>
    letters.filter(({ data }) => (data?.length ?? 0) <= MAX_BYTES),
  ),
  holding("keeps a pointer as empty data", "send.pointer", (letter) => ({
    ...letter,
    data: letter.data ?? new Uint8Array(0),
  })),
  holding(
    "forgets when a pointer ends",
    "send.pointer",
    ({ retainedUntil: _end, ...letter }) => letter,
  ),
  sending("keeps a letter that comes twice twice", "repeat.held", (letters, place) => {
    for (const letter of letters) {
      if (place.letters.has(letter.id)) place.letters.set(`${letter.id}, again`, letter);
    }
    return letters;
  }),
  mutant(
    "loses the letters of a call in which one is twice",
    "repeat.one-call",
    class extends ReferenceQueue {
      override send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        const ids = new Set(letters.map(({ id }) => id));
        return super.send(ids.size < letters.length ? [] : letters, options);
      }
    },
  ),
  mutant(
    "looks for a letter before it puts it",
    "repeat.at-once",
    class extends ReferenceQueue {
      override async send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        const held = new Set(this.place.letters.keys());
        await super.send([], options);
        for (const letter of letters.filter(({ id }) => !held.has(id))) {
          const again = this.place.letters.has(letter.id);
          this.place.letters.set(again ? `${letter.id}, again` : letter.id, letter);
        }
      }
    },
  ),
  mutant(
    "loses new letters beside one that it holds",
    "repeat.held",
    class extends ReferenceQueue {
      override async send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        const fresh = letters.filter(({ id }) => !this.place.letters.has(id));
        if (fresh.length < letters.length) return super.send(fresh.slice(1), options);
        return super.send(letters, options);
      }
    },
  ),
];

const lifecycleMutants: readonly DeadLetterMutant[] = [
  mutant(
    "looks at no signal",
    "abort.before",
    class extends ReferenceQueue {
      override send(letters: readonly DeadLetter[]): Promise<void> {
        return super.send(letters, { signal: NONE });
      }
    },
  ),
  mutant(
    "acknowledges before it is held",
    "outage.rejects",
    class extends ReferenceQueue {
      override async send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        if (this.place.reachable) await super.send(letters, options);
      }
    },
  ),
  mutant(
    "takes an outage for good",
    "outage.rejects",
    class extends ReferenceQueue {
      override async reach(): Promise<void> {
        if (!this.place.reachable) throw new Error("connection refused");
      }
    },
  ),
  mutant(
    "reports the outage after the signal has aborted",
    "outage.abort",
    class extends ReferenceQueue {
      override reach(): Promise<void> {
        return super.reach(NONE);
      }
    },
  ),
  mutant(
    "can be used after it was closed",
    "close.closed",
    class extends ReferenceQueue {
      override async close(): Promise<void> {}
    },
  ),
  mutant(
    "fails when it is closed again",
    "close.twice",
    class extends ReferenceQueue {
      #closed = false;

      override async close(): Promise<void> {
        if (this.#closed) throw new Error("not open");
        this.#closed = true;
      }
    },
  ),
  mutant(
    "removes its letters when it is closed",
    ["close.twice", "close.closed", "close.one-handle"],
    class extends ReferenceQueue {
      override async close(): Promise<void> {
        this.place.letters.clear();
        return super.close();
      }
    },
  ),
];

/** Lists something else. */
function listing(
  name: string,
  caughtBy: string | readonly string[],
  change: (page: DeadLetterPage, options: DeadLetterListOptions) => DeadLetterPage,
): DeadLetterMutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceQueue {
      override async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
        return change(await super.list(options), options);
      }
    },
  );
}

const readingMutants: readonly DeadLetterMutant[] = [
  mutant(
    "has a list and no removal",
    "manifest.readable",
    class extends ReferenceQueue {
      constructor(place: ReferencePlace) {
        super(place);
        return new Proxy(this, { has: (target, name) => name !== "remove" && name in target });
      }
    },
  ),
  listing("has one page", ["list.all", "list.many"], ({ letters }) => ({ letters })),
  listing(
    "leaves out the last letter of a page",
    "list.all",
    ({ letters, ...page }, { limit }) => ({
      ...page,
      letters: letters.slice(0, (limit ?? 100) - 1),
    }),
  ),
  mutant(
    "lists all, whatever the limit is",
    "list.all",
    class extends ReferenceQueue {
      override list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
        return super.list({ ...options, limit: 1000 });
      }
    },
  ),
  mutant(
    "lists a thousand by default",
    "list.many",
    class extends ReferenceQueue {
      override list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
        return super.list({ limit: 1000, ...options });
      }
    },
  ),
  listing("has a next page after the last one", "list.none", (page) => ({ next: "~", ...page })),
  mutant(
    "lists all applications",
    "list.application",
    class extends ReferenceQueue {
      override list({
        application: _,
        ...options
      }: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
        return super.list(options);
      }
    },
  ),
  mutant(
    "finds an application by its name's beginning",
    "list.application",
    class extends ReferenceQueue {
      override async list({
        application = "",
        ...options
      }: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
        const { letters, ...page } = await super.list(options);
        return {
          ...page,
          letters: letters.filter((each) => each.application.startsWith(application)),
        };
      }
    },
  ),
  mutant(
    "finds what this handle has sent",
    "get.one",
    class extends ReferenceQueue {
      readonly #sent = new Set<string>();

      override send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        for (const { id } of letters) this.#sent.add(id);
        return super.send(letters, options);
      }

      override async get(id: string): Promise<DeadLetter | undefined> {
        return this.#sent.has(id) ? super.get(id) : undefined;
      }
    },
  ),
  mutant(
    "removes a hundred at once",
    "remove.some",
    class extends ReferenceQueue {
      override remove(ids: readonly string[]): Promise<void> {
        return super.remove(ids.slice(0, 100));
      }
    },
  ),
  mutant(
    "gives up at an id that is not there",
    "remove.unknown",
    class extends ReferenceQueue {
      override async remove(ids: readonly string[]): Promise<void> {
        if (ids.every((id) => this.place.letters.has(id))) await super.remove(ids);
      }
    },
  ),
  mutant(
    "never takes a removed letter again",
    "remove.again",
    class extends ReferenceQueue {
      readonly #removed = new Set<string>();

      override async send(letters: readonly DeadLetter[], options: SendOptions): Promise<void> {
        await super.send(
          letters.filter(({ id }) => !this.#removed.has(id)),
          options,
        );
      }

      override async remove(ids: readonly string[]): Promise<void> {
        for (const id of ids) this.#removed.add(id);
        await super.remove(ids);
      }
    },
  ),
];

export const DEAD_LETTER_MUTANTS: readonly DeadLetterMutant[] = [
  ...sendingMutants,
  ...lifecycleMutants,
  ...readingMutants,
];
