import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  MemoryStore,
  MemoryStoreData,
  SkipCheckpoint,
  type ConsumerRecord,
  type Handler,
} from "../src/index.ts";
import type { DeliveryOptions } from "../src/options/delivery-options.ts";
import { RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };

async function storedIn(store: MemoryStore): Promise<unknown> {
  return (await store.getCheckpoints(SCOPE)).get(SHARD);
}

/** Handles records for a while each, and keeps what came to pass. */
class Work {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  running = 0;
  most = 0;
  readonly handler: Handler;

  constructor(world: World, ms: (record: ConsumerRecord) => number) {
    this.handler = async (record) => {
      this.begun.push(record.text());
      this.running += 1;
      this.most = Math.max(this.most, this.running);
      await sleep(world.clock, ms(record));
      this.running -= 1;
      this.ended.push(record.text());
    };
  }
}

test("keys are handled side by side, the records of a key in order, and the checkpoint stays behind both", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const work = new Work(world, ({ partitionKey }) => (partitionKey === "slow" ? 1000 : 10));
  const [first] = await world.put("slow", "s1");
  await world.put("fast", "f1", "f2");
  const [last] = await world.put("slow", "s2");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON", flushIntervalMs: 100 });
  const run = await world.run(consumer, work.handler, { concurrency: 10 });
  await world.clock.advance(500);
  expect(work.ended).toEqual(["f1", "f2"]);
  expect(consumer.status().shards[0]).toMatchObject({
    state: "handling",
    recordsInFlight: 2,
    position: undefined,
  });
  await world.clock.advance(1000);
  expect(work.begun).toEqual(["s1", "f1", "f2", "s2"]);
  expect(consumer.status().shards[0]!.position).not.toMatchObject({ sequenceNumber: last });
  expect(await storedIn(store)).not.toMatchObject({ sequenceNumber: first });
  await world.clock.advance(1000);
  await run.stop();
  expect(work.ended).toEqual(["f1", "f2", "s1", "s2"]);
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: last });
});

test("any pages, keys, durations and failures: each key in order, never more at once than allowed, and all done", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ key: fc.nat({ max: 5 }), ms: fc.nat({ max: 300 }), fails: fc.nat({ max: 2 }) }),
        {
          minLength: 1,
          maxLength: 40,
        },
      ),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom("key" as const, "none" as const),
      fc.integer({ min: 1, max: 20 }),
      async (records, concurrency, ordering, maxRecords) => {
        const world = await World.of();
        const store = new MemoryStore();
        const done: number[][] = [];
        const first: number[][] = [];
        let running = 0;
        let most = 0;
        const attempts = new Map<number, number>();
        const handler: Handler = (record, context) => {
          const index = Number(record.text());
          const { key, ms, fails } = records[index]!;
          if (context.attempt === 1) (first[key] ??= []).push(index);
          expect(context.attempt).toBe((attempts.get(index) ?? 0) + 1);
          attempts.set(index, context.attempt);
          const end = (): void => {
            if (context.attempt <= fails) throw new Error("no");
            (done[key] ??= []).push(index);
          };
          if (ms < 100) return end();
          most = Math.max(most, (running += 1));
          return sleep(world.clock, ms).then(() => {
            running -= 1;
            end();
          });
        };
        let last = "";
        for (const [index, { key }] of records.entries()) {
          [last] = (await world.put(`key-${key}`, String(index))) as [string];
        }
        const consumer = world.consumer({ store, start: "TRIM_HORIZON", maxRecords });
        const run = await world.run(consumer, handler, {
          concurrency,
          ordering,
          retry: { maxAttempts: 3, minDelayMs: 50 },
        });
        for (let i = 0; i < 100 && attempts.size < records.length; i += 1)
          await world.clock.advance(1000);
        await world.clock.advance(5000);
        await run.stop();
        expect(run.error).toBeUndefined();
        expect(most).toBeLessThanOrEqual(concurrency);
        const all = done.flat().toSorted((a, b) => a - b);
        expect(all).toEqual(records.map((_, index) => index));
        if (ordering === "key" || concurrency === 1) {
          if (ordering === "key") {
            for (const own of [...first, ...done]) {
              expect(own ?? []).toEqual((own ?? []).toSorted((a, b) => a - b));
            }
          }
        }
        expect(await storedIn(store)).toMatchObject({ sequenceNumber: last });
        expect(consumer.status().bufferedBytes).toBe(0);
      },
    ),
    { numRuns: 30 },
  );
});

test("a hot key holds back no more than ten records for each that may be in the handler", async () => {
  const world = await World.of();
  await world.put("hot", ...Array.from({ length: 100 }, (_, i) => `h${i}`));
  await world.put("cold", "c");
  const seen: string[] = [];
  let open = (): void => {};
  const handler: Handler = (record) => {
    seen.push(record.text());
    if (record.text() === "h0") return new Promise<void>((resolve) => (open = resolve));
    return undefined;
  };
  const consumer = world.consumer({ start: "TRIM_HORIZON", maxRecords: 10 });
  const run = await world.run(consumer, handler, { concurrency: 2 });
  await world.clock.advance(60_000);
  expect(seen).toEqual(["h0"]);
  // One in the handler, twenty behind it, the rest of the page at the cursor, and two pages read ahead.
  expect(consumer.status().shards[0]!.recordsInFlight).toBeLessThanOrEqual(50);
  open();
  await world.clock.advance(10_000);
  expect(seen.at(-1)).toBe("c");
  expect(seen).toHaveLength(101);
  await run.stop();
});

test("a key of one's own, and records in no order", async () => {
  const world = await World.of();
  await world.put("a", "x1", "x2", "y1");
  const work = new Work(world, () => 1000);
  const byText = await world.start({ start: "TRIM_HORIZON" }, work.handler, {
    concurrency: 5,
    key: (record: ConsumerRecord) => record.text()[0]!,
  });
  await world.clock.advance(500);
  expect(work.begun).toEqual(["x1", "y1"]);
  await byText.stop();
  const none = new Work(world, () => 1000);
  const unordered = await world.start({ start: "TRIM_HORIZON" }, none.handler, {
    concurrency: 5,
    ordering: "none",
  });
  await world.clock.advance(500);
  expect(none.begun).toEqual(["x1", "x2", "y1"]);
  await unordered.stop();
});

test.each<[string, () => unknown]>([
  ["throws", () => { throw new Error("no"); }], // prettier-ignore
  ["throws nothing", () => { throw undefined; }], // prettier-ignore
  ["returns no text", () => 7],
])("a key function that %s fails its record, which is skipped as others are", async (_, key) => {
  const world = await World.of();
  await world.put("a", "1", "2");
  const run = await world.start({ start: "TRIM_HORIZON" }, undefined, {
    concurrency: 2,
    onFailure: "skip",
    key: (record: ConsumerRecord) => (record.text() === "1" ? (key() as string) : "k"),
  });
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["2"]);
  expect(world.counter.total("records_given_up")).toBe(1);
  await run.stop();
  expect(run.error).toBeUndefined();
});

test("without a policy such a key ends the scan, and names the record", async () => {
  const world = await World.of();
  const [number] = await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, undefined, {
    concurrency: 2,
    key: () => 7 as unknown as string,
  });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
  expect(String(run.error)).toContain(number);
});

test("a failure stops the scan at once, and what is finished beside it is flushed up to it", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [first] = await world.put("a", "1");
  await world.put("b", "bad");
  await world.put("c", "3");
  const run = await world.start(
    { store, start: "TRIM_HORIZON" },
    async (record) => {
      await sleep(world.clock, record.text() === "bad" ? 50 : 100);
      if (record.text() === "bad") throw new Error("no");
    },
    { concurrency: 5 },
  );
  await world.clock.advance(60);
  expect(run.error).toBeUndefined();
  await world.clock.advance(100);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: first });
});

test("SkipCheckpoint moves no checkpoint, with several records at once either", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1");
  const [second] = await world.put("b", "2");
  await world.put("c", "3");
  const run = await world.start(
    { store, start: "TRIM_HORIZON" },
    async (record) => (record.text() === "2" ? undefined : SkipCheckpoint),
    { concurrency: 5 },
  );
  await world.clock.advance(1000);
  await run.stop();
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: second });
});

test("with flushIntervalMs 0 nothing starts before what is finished is stored", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1", "2", "3");
  const before: unknown[] = [];
  const run = await world.start(
    { store, start: "TRIM_HORIZON", flushIntervalMs: 0 },
    async () => {
      before.push(
        ((await storedIn(store)) as { sequenceNumber: string } | undefined)?.sequenceNumber,
      );
    },
    { concurrency: 2 },
  );
  await world.clock.advance(1000);
  await run.stop();
  expect(before).toEqual([
    undefined,
    run.records[0]!.sequenceNumber,
    run.records[1]!.sequenceNumber,
  ]);
});

test("with flushIntervalMs 0 nothing starts where the lease has ended while the store was awaited", async () => {
  const world = await World.of();
  const { clock } = world;
  const store = new RecordingStore(clock);
  const group = new ScriptedGroup(store.data);
  await world.put("a", "1", "2", "3");
  const run = await world.start(
    { store, group, start: "TRIM_HORIZON", flushIntervalMs: 0, scanIntervalMs: 30_000 },
    async (record) => {
      if (record.text() !== "2") return;
      store.let("setCheckpoints", async (answer) => {
        await sleep(clock, 3000);
        return answer();
      });
    },
    { concurrency: 2 },
  );
  const grant = group.grant(SHARD);
  grant.endsAt = clock.monotonic() + 2000;
  await clock.advance(10_000);
  expect(run.texts).toEqual(["1", "2"]);
  grant.endsAt = clock.monotonic() + 60_000;
  await clock.advance(10_000);
  expect(run.texts).toEqual(["1", "2", "3"]);
  await run.stop();
});

test.each(["records", "batches"])(
  "a stop while the store is awaited and an empty page has come ends the scan in peace: %s",
  async (what) => {
    const world = await World.of();
    const { clock } = world;
    const store = new RecordingStore(clock);
    store.let("setCheckpoints", async (answer) => {
      await sleep(clock, 1900);
      return answer();
    });
    await world.put("a", "1", "2");
    const options = {
      store,
      start: "TRIM_HORIZON",
      flushIntervalMs: 0,
      scanIntervalMs: 500,
    } as const;
    const texts: string[] = [];
    const take = async (record: ConsumerRecord): Promise<void> => void texts.push(record.text());
    const run =
      what === "records"
        ? await world.start(options, take, { concurrency: 2 })
        : await world.runBatches(world.consumer(options), ([one]) => take(one!), { maxRecords: 1 });
    await clock.advance(1000);
    run.abort();
    await clock.advance(5000);
    expect(texts).toEqual(["1"]);
    expect(run.settled).toEqual({ error: undefined });
  },
);

test("a shard's end is stored after all its records, and its children begin after that", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const work = new Work(world, () => 2000);
  await world.put("a", "1");
  await world.put("b", "2");
  await world.split(SHARD);
  await world.put("a", "child");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, work.handler, { concurrency: 5 });
  await world.clock.advance(1500);
  expect(work.begun).toEqual(["1", "2"]);
  expect(await storedIn(store)).toBeUndefined();
  await world.clock.advance(20_000);
  expect(await storedIn(store)).toMatchObject({ kind: "shard-end" });
  expect(work.ended).toEqual(["1", "2", "child"]);
  await run.stop();
});

test.each<DeliveryOptions>([{ concurrency: 4 }, { concurrency: 4, ordering: "none" }])(
  "records whose lease ends start no more, and those in hand come again when it is renewed: %j",
  async (options) => {
    const world = await World.of();
    const { clock } = world;
    const data = new MemoryStoreData();
    const group = new ScriptedGroup(data);
    const attempts: string[] = [];
    await world.put("a", "1");
    await world.put("b", "2");
    const handler: Handler = (record, { signal, attempt }) => {
      attempts.push(`${record.text()}:${attempt}`);
      if (attempts.length > 2) return undefined;
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    };
    const store = new MemoryStore({ data });
    const run = await world.start({ store, start: "TRIM_HORIZON", group }, handler, options);
    const grant = group.grant(SHARD);
    grant.endsAt = clock.monotonic() + 1000;
    await clock.advance(200);
    expect(attempts).toEqual(["1:1", "2:1"]);
    await clock.advance(5000);
    expect(attempts).toHaveLength(2);
    grant.endsAt = Infinity;
    await clock.advance(1000);
    expect(attempts).toEqual(["1:1", "2:1", "1:1", "2:1"]);
    await run.stop();
    expect(run.error).toBeUndefined();
  },
);
