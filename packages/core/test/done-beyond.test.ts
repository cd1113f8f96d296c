import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { type Handler } from "../src/index.ts";
import { aggregateOf, userRecord } from "./support/aggregates.ts";
import { Lives } from "./support/lives.ts";
import { STREAM, World } from "./support/world.ts";

const SCOPE = { application: "billing", streamName: STREAM };
const SHARD = "shardId-000000000000";
const FLUSH_MS = 1000;

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `r${from + i}`);

test("after a kill, what was done and flushed beyond a record that is stuck is not delivered again", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  await world.put("a", "r0");
  await world.put("stuck", "stuck");
  for (const text of texts(1, 150)) await world.put(text, text);
  const handler: Handler = (record) => sleep(clock, record.text() === "stuck" ? 1e6 : 5);
  lives.begin(handler, { concurrency: 20 });
  await clock.advance(4000);
  expect(lives.done).toHaveLength(150);
  // The position stands still: what is done beyond it is written nevertheless.
  for (const text of texts(150, 160)) await world.put(text, text);
  await clock.advance(4000);
  expect(lives.done).toHaveLength(160);
  const stored = await lives.stored();
  expect(stored).toMatchObject({ kind: "position", ahead: expect.any(String) as string });
  const { ahead } = stored as { readonly ahead: string };
  expect(lives.counter.gauge("ahead_bytes")).toEqual({ [SHARD]: ahead.length });
  await lives.kill();
  lives.begin(() => sleep(clock, 5), { concurrency: 20 });
  await clock.advance(4000);
  expect(lives.done).toHaveLength(161);
  expect(lives.times("stuck")).toBe(1);
  expect(await lives.stored()).not.toHaveProperty("ahead");
  expect(lives.counter.gauge("ahead_bytes")).toEqual({ [SHARD]: 0 });
  await lives.kill();
});

test("whatever the kills, no record is lost, and only those repeat that were done since the last flush", async () => {
  const life = fc.record({
    takes: fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1, maxLength: 30 }),
    concurrency: fc.integer({ min: 1, max: 40 }),
    until: fc.integer({ min: 100, max: 6000 }),
    maxAheadBytes: fc.constantFrom(4096, 4096, 150),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), async (all) => {
      const world = await World.of();
      const { clock } = world;
      const lives = new Lives(world);
      const put = texts(0, 60);
      for (const [i, text] of put.entries()) await world.put(`key-${i % 25}`, text);
      // There is no checkpoint before the first record is done.
      const tookOf = (text: string, takes: readonly number[]): number =>
        text === "r0" ? 1 : takes[Number(text.slice(1)) % takes.length]!;
      const flushed = new Map<string, number>();
      for (const { takes, concurrency, until, maxAheadBytes } of all) {
        const handler: Handler = (record) => sleep(clock, tookOf(record.text(), takes));
        lives.begin(handler, { concurrency, maxAheadBytes });
        await clock.advance(until);
        const before = clock.monotonic() - 1.1 * FLUSH_MS;
        await lives.kill();
        for (const { text, at, life: of } of lives.done) {
          if (of === lives.life && at < before) flushed.set(text, lives.times(text));
        }
      }
      lives.begin(() => sleep(clock, 1), { concurrency: 1 });
      await clock.advance(5000);
      await lives.kill();
      expect(new Set(lives.done.map(({ text }) => text))).toEqual(new Set(put));
      for (const [text, times] of flushed) {
        expect([text, lives.times(text)]).toEqual([text, times]);
      }
    }),
    { numRuns: 20 },
  );
});

test("where little fits into a checkpoint, records far beyond a stuck one wait, and it still holds all that is done", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  await world.put("a", "r0");
  // Every other record waits for one that is stuck: each one that is done is a run by itself.
  for (const [i, text] of texts(1, 200).entries()) await world.put(i % 2 === 0 ? "k" : text, text);
  const handler: Handler = (record) => sleep(clock, record.partitionKey === "k" ? 1e6 : 5);
  lives.begin(handler, { concurrency: 4, maxAheadBytes: 150 });
  await clock.advance(5000);
  const done = lives.done.map(({ text }) => text);
  expect(done.length).toBeGreaterThan(10);
  expect(done.length).toBeLessThan(60);
  await lives.kill();
  lives.begin(() => sleep(clock, 5), { concurrency: 4, maxAheadBytes: 150 });
  await clock.advance(5000);
  for (const text of done) expect([text, lives.times(text)]).toEqual([text, 1]);
  expect(lives.done).toHaveLength(200);
  await lives.kill();
});

test("a store that keeps no text beyond the position is given none, and records repeat", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  for (const text of texts(0, 10)) await world.put(text, text);
  const handler: Handler = (record) => sleep(clock, record.text() === "r1" ? 1e6 : 5);
  lives.begin(handler, { concurrency: 20, maxAheadBytes: 0 });
  await clock.advance(3000);
  expect(await lives.stored()).not.toHaveProperty("ahead");
  await lives.kill();
  lives.begin(() => sleep(clock, 5), { concurrency: 20, maxAheadBytes: 0 });
  await clock.advance(3000);
  expect(lives.times("r5")).toBe(2);
  await lives.kill();
});

test("a text that was damaged, or belongs to another position, is dropped, counted, and its records repeat", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  const numbers = await Promise.all(
    texts(0, 10).map(async (text) => (await world.put(text, text))[0]!),
  );
  const handler: Handler = (record) => sleep(clock, record.text() === "r1" ? 1e6 : 5);
  lives.begin(handler, { concurrency: 20 });
  await clock.advance(3000);
  await lives.kill();
  const stored = (await lives.stored()) as { readonly ahead: string };
  const [sequenceNumber] = numbers;
  const application = lives.data.application(SCOPE);
  for (const ahead of [`${stored.ahead.slice(0, -1)}-`, "", 7 as never, "\u0000"]) {
    lives.done.length = 0;
    application.shard(SHARD).checkpoint = {
      kind: "position",
      sequenceNumber: sequenceNumber!,
      ahead,
    };
    const dropped = lives.counter.total("ahead_dropped");
    lives.begin(() => sleep(clock, 5), { concurrency: 20 });
    await clock.advance(3000);
    expect(lives.done.map(({ text }) => text).toSorted()).toEqual(texts(1, 10));
    expect(lives.counter.total("ahead_dropped")).toBe(dropped + 1);
    await lives.kill();
  }
});

test("a worker that takes a shard over passes what the one before it has done and flushed", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  for (const text of texts(0, 40)) await world.put(text, text);
  lives.begin((record) => sleep(clock, record.text() === "r3" ? 1e6 : 5), { concurrency: 20 });
  await clock.advance(3000);
  // The first one lives on: two deployments overlap, and each writes what it knows.
  const first = lives.done.length;
  lives.begin(() => sleep(clock, 5), { concurrency: 20 });
  await clock.advance(3000);
  expect(lives.done.slice(first).map(({ text }) => text)).toEqual(["r3"]);
  await lives.kill();
});

test("after a stop, the newest record that was done does not repeat, although those behind it are not met yet", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  for (const text of texts(0, 11)) await world.put(text, text);
  // r10 alone is done of those behind r0.
  const quick = new Set(["r0", "r10"]);
  lives.begin((record) => sleep(clock, quick.has(record.text()) ? 5 : 1e6), { concurrency: 20 });
  await clock.advance(3000);
  await lives.stop();
  // r2 is in hand at the stop, and is done in time.
  lives.begin((record) => sleep(clock, record.text() === "r2" ? 700 : 1e6), { concurrency: 2 });
  await clock.advance(300);
  await lives.stop();
  expect(lives.done.map(({ text }) => text)).toEqual(["r0", "r10", "r2"]);
  // It stays known while it is not met.
  lives.begin(() => sleep(clock, 700), { concurrency: 1 });
  await clock.advance(300);
  await lives.stop();
  lives.begin(() => sleep(clock, 5), { concurrency: 4 });
  await clock.advance(3000);
  expect(lives.done.map(({ text }) => text).toSorted()).toEqual(texts(0, 11).toSorted());
  await lives.kill();
});

test("after a stop inside an aggregate, what is done of it behind the checkpoint and was not met again does not repeat", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  // What is done beyond a checkpoint needs a checkpoint to stand beside.
  await world.put("a", "first");
  const users = ["r0", "r1"].map((text) => userRecord(text, text));
  const Data = aggregateOf(users);
  await world.kinesis.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: "a", Data }));
  lives.begin((record) => sleep(clock, record.text() === "r0" ? 1e6 : 5), { concurrency: 2 });
  await clock.advance(2 * FLUSH_MS);
  await lives.stop();
  expect(lives.times("r1")).toBe(1);
  lives.begin(() => sleep(clock, 6), { concurrency: 1 });
  await clock.advance(3);
  await lives.stop();
  expect(lives.times("r0")).toBe(1);
  expect(await lives.stored()).toMatchObject({ subSequenceNumber: 0 });
  lives.begin(() => {}, { concurrency: 1 });
  await clock.advance(2 * FLUSH_MS);
  await lives.stop();
  expect(lives.done.map(({ text }) => text)).toEqual(["first", "r1", "r0"]);
  expect(await lives.stored()).not.toHaveProperty("subSequenceNumber");
});

test("what is done before records that an earlier process did is remembered, too, before these are met again", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  await world.put("a", "first");
  await world.put("stuck", "stuck");
  const users = ["r0", "r1", "r2"].map((text) => userRecord(text, text));
  const Data = aggregateOf(users);
  await world.kinesis.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: "a", Data }));
  const only = (...done: readonly string[]): Handler => {
    return (record) => sleep(clock, done.includes(record.text()) ? 5 : 1e6);
  };
  lives.begin(only("first", "r1", "r2"), { concurrency: 4 });
  await clock.advance(2 * FLUSH_MS);
  await lives.stop();
  lives.begin(only("r0"), { concurrency: 2 });
  await clock.advance(3);
  await lives.stop();
  expect(lives.done.map(({ text }) => text)).toEqual(["first", "r1", "r2", "r0"]);
  lives.begin(() => {}, { concurrency: 1 });
  await clock.advance(2 * FLUSH_MS);
  await lives.stop();
  expect(lives.done.map(({ text }) => text)).toEqual(["first", "r1", "r2", "r0", "stuck"]);
});

test("a store that keeps less than any text still has all records handled", async () => {
  const world = await World.of();
  const { clock } = world;
  const lives = new Lives(world);
  for (const text of texts(0, 5)) await world.put(text, text);
  lives.begin(() => sleep(clock, 5), { concurrency: 4, maxAheadBytes: 30 });
  await clock.advance(1000);
  expect(lives.done).toHaveLength(5);
  await lives.kill();
});
