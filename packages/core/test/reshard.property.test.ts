import { KinesisServiceException } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { DrainTimeoutError, MemoryStoreData, StoreError, type Handler } from "../src/index.ts";
import { failing, hanging, late, lostReply, RecordingStore } from "./support/recording-store.ts";
import { World, type Run } from "./support/world.ts";

const KEYS = ["a", "b", "c", "d", "e", "f"];
const outage = new StoreError("STORE_UNAVAILABLE", "transient", { retryable: true });

type Step =
  | { readonly do: "put"; readonly keys: readonly string[] }
  | { readonly do: "split" | "merge"; readonly shard: number }
  | { readonly do: "scale"; readonly count: number }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "slow"; readonly ms: number }
  | { readonly do: "fault"; readonly fault: (typeof FAULTS)[number]; readonly times: number }
  | { readonly do: "store"; readonly how: "fails" | "hangs" | "late" | "loses its reply" }
  | { readonly do: "stop" | "crash"; readonly awayMs: number };

/** The first one most, for it alone recreates an iterator. */
const FAULTS = [
  ["GetRecords", "ExpiredIteratorException"],
  ["GetRecords", "ExpiredIteratorException"],
  ["GetRecords", "ExpiredIteratorException"],
  ["GetRecords", "ProvisionedThroughputExceededException"],
  ["GetRecords", "dropped"],
  ["GetShardIterator", "ProvisionedThroughputExceededException"],
  ["ListShards", "LimitExceededException"],
  ["ListShards", "dropped"],
] as const;

const reshard: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("split" as const, "merge" as const), shard: fc.nat() }),
  fc.record({ do: fc.constant("scale" as const), count: fc.integer({ min: 1, max: 4 }) }),
);
const fault: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("fault" as const),
  fault: fc.constantFrom(...FAULTS),
  times: fc.integer({ min: 1, max: 3 }),
});
const delay: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("slow" as const), ms: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({
    do: fc.constant("store" as const),
    how: fc.constantFrom(
      "fails" as const,
      "hangs" as const,
      "late" as const,
      "loses its reply" as const,
    ),
  }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      keys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 3, arbitrary: reshard },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 1500 }), fc.constant(31_000)),
    }),
  },
  { weight: 5, arbitrary: fault },
  { weight: 2, arbitrary: delay },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("stop" as const, "crash" as const),
      awayMs: fc.constantFrom(0, 700, 400_000),
    }),
  },
);

const setting = fc.record({
  start: fc.constantFrom("LATEST" as const, "TRIM_HORIZON" as const),
  shards: fc.integer({ min: 1, max: 3 }),
  omitChildShards: fc.boolean(),
  emptyPagesWhileBehind: fc.nat(1),
  maxRecordsPerPage: fc.integer({ min: 1, max: 6 }),
  transitionMs: fc.constantFrom(0, 400),
  flushIntervalMs: fc.constantFrom(0, 1000, 10_000),
});
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never;

/** One stream, one application, one process after another; and what the oracle knows of each key. */
class Story {
  readonly #world: World;
  readonly #setting: Setting;
  readonly #data = new MemoryStoreData();
  /** How many records were put with a key: they are numbered from 1. */
  readonly #put = new Map(KEYS.map((key) => [key, 0]));
  /** The highest number of a key that was handled to its end. */
  readonly #handled = new Map(KEYS.map((key) => [key, 0]));
  /** How far a key was handled when a process that handled it last stopped cleanly. */
  readonly #stored = new Map(KEYS.map((key) => [key, 0]));
  /** Keys that a process handled which then died: the next one repeats some of them. */
  readonly #unsure = new Set<string>();
  /** What the process of now handled last of each key. */
  #last = new Map<string, number>();
  #slowMs = 0;
  #store!: RecordingStore;
  #run!: Run;

  private constructor(world: World, given: Setting) {
    this.#world = world;
    this.#setting = given;
  }

  static async begin(given: Setting): Promise<Story> {
    const { shards, omitChildShards, emptyPagesWhileBehind, maxRecordsPerPage, transitionMs } =
      given;
    const story = new Story(
      await World.of({
        shards,
        omitChildShards,
        emptyPagesWhileBehind,
        maxRecordsPerPage,
        transitionMs,
      }),
      given,
    );
    await story.#start();
    return story;
  }

  async take(one: Step): Promise<void> {
    const world = this.#world;
    switch (one.do) {
      case "put":
        for (const key of one.keys) {
          const number = this.#put.get(key)! + 1;
          this.#put.set(key, number);
          await world.put(key, `${key}:${number}`);
        }
        return;
      case "split":
      case "merge":
      case "scale":
        return this.#reshard(one);
      case "advance":
        return world.clock.advance(one.ms);
      case "slow":
        this.#slowMs = one.ms;
        return;
      case "fault": {
        const [operation, error] = one.fault;
        const target = { operation, times: one.times };
        if (error === "dropped") world.kinesis.faults.drop(target);
        else world.kinesis.faults.fail({ ...target, error });
        return;
      }
      case "store":
        this.#store.let(
          "setCheckpoints",
          {
            fails: failing(outage),
            hangs: hanging,
            late: late(world.clock, 1500),
            "loses its reply": lostReply(outage),
          }[one.how],
          1,
        );
        return;
      case "stop":
        return this.#stop(one.awayMs);
      case "crash":
        // Whatever was not in the store yet never gets there.
        this.#store.let("setCheckpoints", hanging);
        return this.#stop(one.awayMs);
    }
  }

  /** Everything that was put is handled in the end. */
  async end(): Promise<void> {
    this.#world.kinesis.faults.clear();
    await this.#world.clock.advance(60_000);
    await this.#world.clock.advance(this.#setting.shards * 20_000);
    expect(this.#run.settled).toBeUndefined();
    expect(Object.fromEntries(this.#handled)).toEqual(Object.fromEntries(this.#put));
    await this.#run.stop();
    expect(this.#run.error).toBeUndefined();
    expect(this.#world.clock.pendingTimers).toBe(0);
  }

  async #stop(awayMs: number): Promise<void> {
    await this.#run.stop();
    const { error } = this.#run;
    if (error !== undefined) expect(error).toBeInstanceOf(DrainTimeoutError);
    for (const [key, number] of this.#last) {
      if (error !== undefined) this.#unsure.add(key);
      else {
        this.#unsure.delete(key);
        this.#stored.set(key, number);
      }
    }
    // A process that dies has no handlers any more.
    await this.#world.clock.advance(5000);
    await this.#world.clock.advance(awayMs);
    await this.#start();
  }

  async #start(): Promise<void> {
    const { start, flushIntervalMs } = this.#setting;
    this.#store = new RecordingStore(this.#world.clock, { data: this.#data });
    this.#run = await this.#world.start(
      {
        store: this.#store,
        start,
        flushIntervalMs,
        drainTimeoutMs: 8000,
        discoveryIntervalMs: 10_000,
      },
      this.#handler(),
    );
  }

  /** Holds each delivery against the oracle: consecutive within a process, no gap between two. */
  #handler(): Handler {
    const last = (this.#last = new Map());
    const busy = new Set<string>();
    return async (record, { shardId }) => {
      const [key, text] = record.text().split(":") as [string, string];
      const number = Number(text);
      const previous = last.get(key);
      if (previous !== undefined) expect(`${key}:${number}`).toBe(`${key}:${previous + 1}`);
      else if (!this.#unsure.has(key))
        expect(`${key}:${number}`).toBe(`${key}:${this.#stored.get(key)! + 1}`);
      else {
        expect(number).toBeGreaterThan(this.#stored.get(key)!);
        expect(number).toBeLessThanOrEqual(this.#handled.get(key)! + 1);
      }
      last.set(key, number);
      expect(busy).not.toContain(shardId);
      expect(busy).not.toContain(key);
      busy.add(shardId).add(key);
      const ms = this.#slowMs;
      this.#slowMs = 0;
      if (ms > 0) await sleep(this.#world.clock, ms);
      busy.delete(shardId);
      busy.delete(key);
      this.#handled.set(key, Math.max(number, this.#handled.get(key)!));
    };
  }

  /** A request that makes no sense at its moment, or meets a fault, is refused: nothing happens. */
  async #reshard(one: Step & { do: "split" | "merge" | "scale" }): Promise<void> {
    const world = this.#world;
    try {
      if (one.do === "scale") return await world.scale(one.count);
      const open = await world.openShardIds();
      const index = one.shard % open.length;
      if (one.do === "merge" && index > 0) await world.merge(open[index - 1]!, open[index]!);
      if (one.do === "split" && open.length < 6) await world.split(open[index]!);
    } catch (error) {
      if (!(error instanceof KinesisServiceException) && !("syscall" in (error as Error)))
        throw error;
    }
  }
}

test(
  "every record is delivered, each key's in order, and a clean stop repeats nothing: whatever " +
    "reshards, restarts and failingCalls come between",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        setting,
        fc.array(step, { minLength: 5, maxLength: 40, size: "max" }),
        async (given, steps) => {
          const story = await Story.begin(given);
          for (const one of steps) await story.take(one);
          await story.end();
        },
      ),
      { seed: Number(process.env["SEED"] ?? 20260101), numRuns: Number(process.env["RUNS"] ?? 30) },
    );
  },
  Number(process.env["RUNS"] ?? 30) * 2000,
);
