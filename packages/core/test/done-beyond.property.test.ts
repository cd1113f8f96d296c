import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import type { Handler } from "../src/index.ts";
import { aggregateOf, userRecord } from "./support/aggregates.ts";
import { Lives } from "./support/lives.ts";
import { STREAM, World } from "./support/world.ts";

const KEYS = ["a", "b", "c", "d"];
const FLUSH_MS = 1000;

/** Puts a record, or an aggregate of several user records with keys of their own. */
async function put(world: World, key: string, texts: readonly string[]): Promise<void> {
  if (texts.length === 1) return void (await world.put(key, texts[0]!));
  const users = texts.map((text, i) => userRecord(KEYS[i % KEYS.length]!, text));
  await world.kinesis.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: key, Data: aggregateOf(users) }),
  );
}

/** Takes up to half a second; now and then it does not return. */
function erratic(world: World, seed: number): Handler {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const tenth = (state >>> 8) % 10;
    return sleep(world.clock, tenth === 0 ? 1e6 : tenth * 60);
  };
}

const puts = fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.integer({ min: 1, max: 5 })), {
  minLength: 5,
  maxLength: 40,
});
const lives = fc.array(
  fc.record({
    concurrency: fc.integer({ min: 2, max: 8 }),
    maxAheadBytes: fc.constantFrom(40, 60, 90, 150, 4096),
    deaggregate: fc.boolean(),
    inBatches: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1000 }),
    ms: fc.integer({ min: 100, max: 4000 }),
  }),
  { minLength: 1, maxLength: 5 },
);

test("whatever the aggregates, kills, batches and switches of de-aggregation, no user record is lost", async () => {
  await fc.assert(
    fc.asyncProperty(puts, lives, async (sketch, story) => {
      const world = await World.of();
      const all = new Lives(world);
      const texts = sketch.map(([, size], i) =>
        Array.from({ length: size }, (_, j) => `r${i}.${j}`),
      );
      for (const [i, [key]] of sketch.entries()) await put(world, key, texts[i]!);
      for (const { seed, ms, ...options } of story) {
        all.begin(erratic(world, seed), options);
        await world.clock.advance(ms);
        await all.kill();
      }
      all.begin(() => sleep(world.clock, 5), { concurrency: 4 });
      await world.clock.advance(10_000);
      await all.kill();
      const done = new Set(all.done.map(({ text }) => text));
      expect(texts.flat().filter((text) => !done.has(text))).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

test("whatever the kills inside aggregates, only those user records repeat that were done since the last flush", async () => {
  const life = fc.record({
    takes: fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1, maxLength: 30 }),
    concurrency: fc.integer({ min: 2, max: 20 }),
    until: fc.integer({ min: 100, max: 6000 }),
    inBatches: fc.boolean(),
  });
  const sizes = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 3, maxLength: 15 });
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.array(life, { minLength: 1, maxLength: 4 }),
      async (counts, story) => {
        const world = await World.of();
        const { clock } = world;
        const all = new Lives(world);
        // What is done beyond a checkpoint needs a checkpoint to stand beside.
        await world.put("a", "first");
        all.begin(() => {}, { concurrency: 1 });
        await clock.advance(2 * FLUSH_MS);
        await all.kill();
        const texts = counts.map((size, i) => Array.from({ length: size }, (_, j) => `r${i}.${j}`));
        for (const [i, each] of texts.entries()) await put(world, KEYS[i % KEYS.length]!, each);
        const order = texts.flat();
        const flushed = new Map([["first", 1]]);
        for (const { takes, until, ...options } of story) {
          const handler: Handler = (record) =>
            sleep(clock, takes[order.indexOf(record.text()) % takes.length]!);
          all.begin(handler, options);
          await clock.advance(until);
          const before = clock.monotonic() - 1.1 * FLUSH_MS;
          await all.kill();
          for (const { text, at, life: of } of all.done) {
            if (of === all.life && at < before) flushed.set(text, all.times(text));
          }
        }
        all.begin(() => sleep(clock, 1), { concurrency: 1 });
        await clock.advance(10_000);
        await all.kill();
        expect(new Set(all.done.map(({ text }) => text))).toEqual(new Set(["first", ...order]));
        for (const [text, times] of flushed) {
          expect([text, all.times(text)]).toEqual([text, times]);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("whatever the stops, handlers that hang included, nothing repeats that was done", async () => {
  const HANGS_FROM = 600;
  const life = fc.record({
    takes: fc.array(fc.integer({ min: 6, max: 900 }), { minLength: 1, maxLength: 30 }),
    concurrency: fc.integer({ min: 2, max: 20 }),
    until: fc.integer({ min: 5, max: 700 }),
    inBatches: fc.boolean(),
  });
  const sizes = fc.array(fc.constantFrom(1, 1, 1, 2, 5), { minLength: 3, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.array(life, { minLength: 2, maxLength: 6 }),
      async (counts, story) => {
        const world = await World.of();
        const { clock } = world;
        const all = new Lives(world);
        // What is done beyond a checkpoint needs a checkpoint to stand beside.
        await world.put("a", "first");
        all.begin(() => {}, { concurrency: 1 });
        await clock.advance(2 * FLUSH_MS);
        await all.stop();
        const texts = counts.map((size, i) => Array.from({ length: size }, (_, j) => `r${i}.${j}`));
        for (const [i, each] of texts.entries()) await put(world, `key-${i % 12}`, each);
        const order = texts.flat();
        for (const { takes, until, ...options } of story) {
          const handler: Handler = (record) => {
            const ms = takes[order.indexOf(record.text()) % takes.length]!;
            // A batch is done within the drain time, too.
            return sleep(clock, ms > HANGS_FROM ? 1e6 : options.inBatches ? ms / 20 : ms);
          };
          all.begin(handler, options);
          await clock.advance(until);
          await all.stop();
        }
        all.begin(() => sleep(clock, 1), { concurrency: 1 });
        await clock.advance(10_000);
        await all.stop();
        expect(all.done.map(({ text }) => text).toSorted()).toEqual(["first", ...order].toSorted());
      },
    ),
    { numRuns: 30 },
  );
});
