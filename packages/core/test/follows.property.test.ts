import fc from "fast-check";
import { expect, test } from "vitest";
import { follows } from "../src/checkpoints/start-position.ts";
import { checkpointAt, MemoryStore, MemoryStoreData, SHARD_END } from "../src/index.ts";
import { STREAM, World } from "./support/world.ts";

const HOUR = 3_600_000;
const SCOPE = { application: "billing", streamName: STREAM };
const numbers = fc.array(fc.bigInt({ min: 1n, max: 10n ** 56n }), { minLength: 1, maxLength: 8 });

test("a shard whose parents have expired follows those read before if, and only if, it begins above all of them", () => {
  fc.assert(
    fc.property(numbers, fc.bigInt({ min: 1n, max: 10n ** 56n }), (read, first) => {
      const checkpoints = new Map(
        read.map((at, i) => [`shard-${i}`, checkpointAt({ sequenceNumber: String(at) })] as const),
      );
      const shard = { parentShardIds: ["expired"], startingSequenceNumber: String(first) };
      expect(follows({ ...shard, parentShardIds: [] }, () => false, checkpoints)).toBe(false);
      expect(follows(shard, () => false, checkpoints)).toBe(read.every((at) => at < first));
    }),
  );
});

test("a parent that is listed or checkpointed is followed; an end without a number proves nothing", () => {
  const shard = { parentShardIds: ["parent"], startingSequenceNumber: "9" };
  expect(follows(shard, (id) => id === "parent", new Map())).toBe(true);
  expect(follows(shard, () => false, new Map([["parent", SHARD_END]]))).toBe(true);
  expect(follows(shard, () => false, new Map([["other", SHARD_END]]))).toBe(false);
  expect(follows(shard, () => false, new Map())).toBe(false);
});

test("where all shards that Go read have expired, their youngest descendants are read from their first record", async () => {
  const world = await World.of();
  const [done] = await world.put("a", "done");
  const [grandparent] = await world.openShardIds();
  await world.split(grandparent!);
  await world.clock.advance(HOUR);
  for (const parent of await world.openShardIds()) await world.split(parent);
  await world.clock.advance(24 * HOUR);
  await world.put("a", "within retention");
  await world.clock.advance(600_000);
  expect(await world.shardIds()).toHaveLength(4);

  const data = new MemoryStoreData();
  data.shard(SCOPE, grandparent!).checkpoint = checkpointAt({ sequenceNumber: done! });
  const run = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
  await world.clock.advance(2000);
  expect(run.texts).toEqual(["within retention"]);
});
