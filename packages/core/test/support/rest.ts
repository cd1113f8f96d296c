import { getEventListeners } from "node:events";
import type { FakeClock, FakeKinesis } from "@kc/emulator";
import { expect } from "vitest";
import type { AnyGroup } from "../../src/groups/group.ts";
import { LeaseGroup, type Consumer, type Store } from "../../src/index.ts";

/** A scan that has settled. */
interface SettledRun {
  readonly consumer: Consumer;
  readonly signal: AbortSignal;
}

/** Long enough for whatever a handler or a lost reply still waits for. */
const WHILE_MS = 2 * 3_600_000;

const OPERATIONS = [
  "DescribeStreamSummary",
  "GetRecords",
  "GetShardIterator",
  "ListShards",
] as const;

/** What scans must leave behind: nothing held, nothing pending, nobody calling. */
export class Rest {
  readonly #clock: FakeClock;
  readonly #kinesis: FakeKinesis;
  readonly #groups = new Set<AnyGroup>();
  /** What was held when a consumer's scan ended last. */
  readonly #held = new WeakMap<Consumer, { readonly bytes: number; readonly handlers: number }>();
  #storeCalls = 0;

  constructor(clock: FakeClock, kinesis: FakeKinesis) {
    this.#clock = clock;
    this.#kinesis = kinesis;
  }

  /** The same store, its calls counted. */
  counting<S extends Store>(store: S): S {
    return new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function" || name === "constructor") return member;
        return (...parameters: unknown[]): unknown => {
          this.#storeCalls += 1;
          return member.apply(target, parameters);
        };
      },
    });
  }

  /** The group must be idle in the end. */
  watch(group: AnyGroup): void {
    this.#groups.add(group);
  }

  /** The consumer's scan ends. */
  look(consumer: Consumer): void {
    const { bufferedBytes: bytes, shards } = consumer.status();
    const handlers = shards.filter(({ handlingForMs }) => handlingForMs > 0).length;
    this.#held.set(consumer, { bytes, handlers });
  }

  async assert(runs: readonly SettledRun[]): Promise<void> {
    const before = this.#calls;
    await this.#clock.advance(WHILE_MS);
    const after = this.#calls;
    expect(
      { ...after, timers: this.#clock.pendingTimers },
      "calls and timers after the end",
    ).toEqual({ ...before, timers: 0 });
    for (const group of this.#groups) {
      if (group instanceof LeaseGroup) expect(group.status().state, "the group").toBe("idle");
    }
    for (const { consumer, signal } of runs) {
      expect(getEventListeners(signal, "abort"), "listeners on the scan's signal").toEqual([]);
      // A consumer with a logger of its own, or without a scan, has told nothing.
      const { bytes = 0, handlers = 0 } = this.#held.get(consumer) ?? {};
      // A handler that outlives its scan keeps its page.
      if (handlers === 0) expect(bytes, "bytes held at the scan's end").toBe(0);
    }
  }

  get #calls(): Readonly<Record<string, number>> {
    const kinesis = OPERATIONS.map((operation) => [operation, this.#kinesis.countOf(operation)]);
    return { store: this.#storeCalls, ...Object.fromEntries(kinesis) };
  }
}
