import type { ListShardsCommandOutput } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { MemoryStore, MemoryStoreData, type KinesisClientLike } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { World } from "./support/world.ts";

const HOUR = 3_600_000;
const SCOPE = { application: "billing", streamName: "orders" };
const [S0, S1, S2] = [0, 1, 2].map((n) => `shardId-00000000000${n}`) as [string, string, string];

/** The stream, with listings that leave shards out. */
function missing(world: World, isMissing: (shardId: string) => boolean): KinesisClientLike {
  return {
    send: async (command, options) => {
      const output = await world.kinesis.send(command, options);
      if (command.constructor.name !== "ListShardsCommand") return output;
      const { Shards, ...rest } = output as ListShardsCommandOutput;
      return { ...rest, Shards: Shards!.filter(({ ShardId }) => !isMissing(ShardId!)) };
    },
  };
}

/** Rows of the store, by the shard's last two digits. */
const rows = (data: MemoryStoreData): string[] =>
  [...data.application(SCOPE).shards.keys()].map((shardId) => shardId.slice(-2)).toSorted();

test("children that a last page named are read while a listing does not come back", async () => {
  const world = await World.of();
  let hangs = false;
  const client: KinesisClientLike = {
    send: async (command, options) => {
      if (hangs && command.constructor.name === "ListShardsCommand")
        await sleep(world.clock, 25_000);
      return world.kinesis.send(command, options);
    },
  };
  const run = await world.start({ client, discoveryIntervalMs: 5000 });
  await world.clock.advance(4000);
  hangs = true;
  await world.clock.advance(3000);
  await world.split(S0);
  await world.put("a", "1");
  await world.clock.advance(2000);
  expect(run.texts).toEqual(["1"]);
});

test("a shard that retention takes while it waits for its parent is reported, once", async () => {
  const world = await World.of();
  let free = (): void => {};
  const stuck = new Promise<void>((resolve) => (free = resolve));
  const run = await world.start(
    { start: "TRIM_HORIZON", scanIntervalMs: 60_000, discoveryIntervalMs: 30 * 60_000 },
    (record) => (record.text() === "first" ? stuck : undefined),
  );
  await world.put("a", "first");
  await world.clock.advance(61_000);
  await world.split(S0);
  await world.put("a", "lost");
  for (const shardId of await world.openShardIds()) await world.split(shardId);
  await world.clock.advance(26 * HOUR);
  await world.put("a", "last");
  await world.clock.advance(60_000);
  const told = world.logger.find("warn", /retention took a shard that was not read to its end/);
  expect(told.map(({ fields }) => fields["shardId"]).toSorted()).toEqual([S1, S2]);
  expect(world.counter.total("trimmed")).toBe(2);
  free();
  await world.clock.advance(180_000);
  expect(run.texts).toEqual(["first", "last"]);
});

test("one listing that misses shards that wait does not let their children go first", async () => {
  const world = await World.of();
  let isMissing = false;
  const client = missing(world, (shardId) => isMissing && (shardId === S1 || shardId === S2));
  const run = await world.start({ client, start: "TRIM_HORIZON" }, (record) =>
    record.text() === "1" ? sleep(world.clock, 80_000) : undefined,
  );
  await world.put("a", "1");
  await world.clock.advance(1000);
  await world.split(S0);
  await world.put("a", "2");
  for (const shardId of await world.openShardIds()) await world.split(shardId);
  await world.put("a", "3");
  await world.clock.advance(30_000);
  isMissing = true;
  await world.clock.advance(31_000);
  isMissing = false;
  await world.clock.advance(30_000);
  expect(run.texts).toEqual(["1", "2", "3"]);
});

test("a child that listings do not know yet is read once they do", async () => {
  const world = await World.of();
  let knownFrom = Infinity;
  const isYoung = (shardId: string): boolean =>
    shardId !== S0 && world.clock.monotonic() < knownFrom;
  const listed = missing(world, isYoung);
  const client: KinesisClientLike = {
    send: async (command, options) => {
      const { ShardId } = command.input as { ShardId?: string };
      if (command.constructor.name === "GetShardIteratorCommand" && isYoung(ShardId!)) {
        throw Object.assign(new Error("not found"), { name: "ResourceNotFoundException" });
      }
      return listed.send(command, options);
    },
  };
  const run = await world.start({ client, start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  knownFrom = world.clock.monotonic() + 4000;
  await world.split(S0);
  await world.put("a", "1");
  await world.clock.advance(12_000);
  expect(run.texts).toEqual(["1"]);
});

test("a child that waits for its other parent is not taken for gone while listings lag", async () => {
  const world = await World.of({ shards: 2 });
  let lags = true;
  const client = missing(world, (shardId) => lags && shardId === S2);
  await world.put(keyOf(1, 2), "slow");
  const run = await world.start(
    { client, start: "TRIM_HORIZON", discoveryIntervalMs: 3000 },
    ({ shardId }) => (shardId === S1 ? sleep(world.clock, 60_000) : undefined),
  );
  await world.clock.advance(1000);
  await world.merge(S0, S1);
  await world.put("a", "child");
  await world.clock.advance(40_000);
  lags = false;
  await world.clock.advance(40_000);
  expect(run.texts).toEqual(["slow", "child"]);
  expect(world.counter.total("trimmed")).toBe(0);
});

test("rows of shards that have ended go once they are gone and their children have begun", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  const options = { store: new MemoryStore({ data }), start: "TRIM_HORIZON" as const };
  const run = await world.start({
    ...options,
    scanIntervalMs: 290_000,
    discoveryIntervalMs: HOUR / 2,
  });
  for (let n = 0; n < 3; n += 1) {
    const [first] = await world.openShardIds();
    await world.put("a", `${n}`);
    await world.put("b", `${n}`);
    await world.split(first!);
    await world.clock.advance(HOUR / 4);
  }
  const ended = [...data.application(SCOPE).shards].filter(
    ([, { checkpoint }]) => checkpoint?.kind === "shard-end",
  );
  expect(ended).toHaveLength(3);
  await world.put("a", "last");
  await world.put("b", "last");
  await world.clock.advance(26 * HOUR);
  const open = new Set((await world.openShardIds()).map((shardId) => shardId.slice(-2)));
  const kept = rows(data).filter((shardId) => !open.has(shardId));
  const idle = (await world.openShardIds()).filter(
    (shardId) => data.application(SCOPE).shards.get(shardId)?.checkpoint === undefined,
  );
  expect(kept.length, "only a parent whose child has no checkpoint yet").toBeLessThanOrEqual(
    idle.length,
  );
  expect(kept.length).toBeLessThan(3);
  await run.stop();
  const again = await world.start(options);
  await world.clock.advance(60_000);
  expect(again.texts, "nothing is read again").toEqual([]);
});
