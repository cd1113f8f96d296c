import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import type { Handler } from "../src/index.ts";
import { aggregateOf, userRecord } from "./support/aggregates.ts";
import { Lives } from "./support/lives.ts";
import { STREAM, World } from "./support/world.ts";

const KEYS = ["a", "b", "c", "d"];

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
