import type { ListShardsCommandOutput } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import { LeaseGroup, MemoryStore, type KinesisClientLike } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { GroupWorld, handled, OUTAGE, range, SCOPE } from "./support/group-world.ts";

type Send = KinesisClientLike["send"];

/** The stream as one process sees it. */
function seenBy(
  group: GroupWorld,
  see: (send: Send, ...call: Parameters<Send>) => ReturnType<Send>,
): KinesisClientLike {
  const { kinesis } = group.world;
  const send: Send = (command, options) => kinesis.send(command, options);
  return { send: (command, options) => see(send, command, options) };
}

/** Listings leave out what is not known. */
function listing(group: GroupWorld, isKnown: (shardId: string) => boolean): KinesisClientLike {
  return seenBy(group, async (send, command, options) => {
    const output = await send(command, options);
    if (command.constructor.name !== "ListShardsCommand") return output;
    const { Shards, ...rest } = output as ListShardsCommandOutput;
    return { ...rest, Shards: Shards!.filter(({ ShardId }) => isKnown(ShardId!)) };
  });
}

/** ListShards never answers this process. */
function deaf(group: GroupWorld): KinesisClientLike {
  return seenBy(group, (send, command, options) =>
    command.constructor.name === "ListShardsCommand"
      ? new Promise((_resolve, reject) =>
          options?.abortSignal?.addEventListener("abort", () => reject(new Error("aborted"))),
        )
      : send(command, options),
  );
}

const S0 = "shardId-000000000000";
const S1 = "shardId-000000000001";

test("a listing whose rows could not be put is not dropped: the first record comes with the next round", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  await group.put(0, 10);
  const a = await group.join("a", {}, undefined, (link) => {
    link.state = "cut";
    link.only = ["putShards"];
  });
  await clock.advance(500);
  a.link.state = "whole";
  await clock.advance(4000);
  expect(handled(a)).toEqual(range(0, 10));
});

test("a shard that ends while a round is looking is given back after its children are claimed", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { world } = group;
  const a = await group.join("a");
  await world.clock.advance(8000);
  a.link.delays = (name) => ({ there: name.startsWith("list") ? 300 : 0, back: 0 });
  await world.clock.advance(600);
  const rows = group.data.application(SCOPE).shards;
  for (const shardId of await world.openShardIds()) await world.split(shardId);
  await group.put(0, 10);
  const parents = range(0, 4).map((n) => `shardId-00000000000${n}`);
  for (let ms = 0; ms < 5000 && a.run.texts.length < 10; ms += 10) {
    await world.clock.advance(10);
    for (const parent of parents.filter((id) => rows.get(id)!.owner === undefined)) {
      const children = [...rows.values()].filter(({ lineage }) => lineage?.includes(parent));
      expect(children.length, "its children have rows").toBe(2);
      expect(
        children.map(({ owner }) => owner),
        "and are claimed",
      ).not.toContain(undefined);
    }
  }
  expect(handled(a)).toEqual(range(0, 10));
});

test("where the first worker cannot list the shards, the next one does after a while", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  await group.put(0, 10);
  const a = await group.join("a", { consumer: { client: deaf(group) } });
  const b = await group.join("b");
  const c = await group.join("c");
  await clock.advance(9000);
  expect(handled(a, b, c)).toEqual([]);
  await clock.advance(5000);
  expect(handled(a, b, c)).toEqual(range(0, 10));
  expect(c.link.calls.filter((call) => call === "putShards")).toEqual([]);
});

test("children that no page named are found although the first worker cannot list", async () => {
  const group = await GroupWorld.of({ shards: 1, omitChildShards: true });
  const { world } = group;
  const b = await group.join("b");
  await world.clock.advance(4000);
  const a = await group.join("a", { consumer: { client: deaf(group) } });
  await world.clock.advance(2000);
  await world.split(S0);
  await group.put(0, 10);
  await world.clock.advance(40_000);
  expect(handled(a, b)).toEqual(range(0, 10));
});

test("a child that listings do not know yet keeps its row and its epoch, and is read once they do", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  let knownFrom = Infinity;
  const isKnown = (shardId: string): boolean => shardId === S0 || clock.monotonic() >= knownFrom;
  const lagging = listing(group, isKnown);
  const client = seenBy(group, async (_send, command, options) => {
    const { ShardId } = command.input as { ShardId?: string };
    if (command.constructor.name === "GetShardIteratorCommand" && !isKnown(ShardId!)) {
      throw Object.assign(new Error("not found"), { name: "ResourceNotFoundException" });
    }
    return lagging.send(command, options);
  });
  const a = await group.join("a", { consumer: { client } });
  await clock.advance(5000);
  await group.world.split(S0);
  await group.put(0, 10);
  knownFrom = clock.monotonic() + 20_000;
  const epochs: number[] = [];
  const rows = group.data.application(SCOPE).shards;
  for (let s = 0; s < 40; s += 1) {
    await clock.advance(1000);
    epochs.push(rows.get("shardId-000000000001")?.epoch ?? -1);
  }
  expect(epochs, "an epoch never goes back").toEqual(epochs.toSorted((x, y) => x - y));
  expect(epochs[0], "the row stays").toBe(1);
  expect(epochs.at(-1)).toBeLessThan(5);
  expect(handled(a)).toEqual(range(0, 10));
});

test("one listing that misses shards takes nothing away", async () => {
  const group = await GroupWorld.of({ shards: 3 });
  const { clock } = group.world;
  const missing = new Set<string>();
  const client = listing(group, (shardId) => !missing.has(shardId));
  const a = await group.join("a", { maxShards: 1, consumer: { client } });
  await clock.advance(4000);
  missing.add("shardId-000000000001").add("shardId-000000000002");
  await clock.advance(26_500);
  missing.clear();
  const rows = group.data.application(SCOPE).shards;
  expect([...rows.keys()]).toHaveLength(3);
  await clock.advance(60_000);
  expect([...rows.keys()]).toHaveLength(3);
  missing.add("shardId-000000000001").add("shardId-000000000002");
  await clock.advance(60_000);
  expect([...rows.keys()]).toEqual([S0]);
  expect(a.reads).toEqual(["00"]);
});

test("a shard that no listing ever named and retention took does not hold up its children", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const a = await group.join("a", { consumer: { discoveryIntervalMs: 86_400_000 } });
  await world.clock.advance(4000);
  await world.split(S0);
  await world.clock.advance(2000);
  expect(Object.keys(group.owners)).toEqual(["00", "01", "02"]);
  a.link.state = "hangs";
  await a.run.stop();
  const [first] = await world.openShardIds();
  await world.split(first!);
  await world.clock.advance(25 * 3_600_000);
  await group.put(0, 10);
  const b = await group.join("b");
  await world.clock.advance(30_000);
  expect(handled(b)).toEqual(range(0, 10));
  expect(Object.keys(group.owners)).not.toContain("01");
});

test("rows that a failed call made in part do not make the others' shards new: LATEST holds", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  for (let shard = 0; shard < 4; shard += 1) await group.world.put(keyOf(shard, 4), "before");
  await group.world.clock.advance(10_000);
  const store = new MemoryStore({ data: group.data });
  const putShards = store.putShards.bind(store);
  let calls = 0;
  store.putShards = async (scope, shards, call) => {
    calls += 1;
    await putShards(scope, calls === 1 ? shards.slice(0, 2) : shards, call);
    if (calls === 1) throw OUTAGE;
  };
  const run = await group.world.start({ store, group: new LeaseGroup(), start: "LATEST" });
  await group.world.clock.advance(10_000);
  for (let shard = 0; shard < 4; shard += 1) await group.world.put(keyOf(shard, 4), "after");
  await group.world.clock.advance(5000);
  expect(run.texts).toEqual(["after", "after", "after", "after"]);
});

test("a worker that may not list the shards ends one without records all the same", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const denied = Object.assign(new Error("no"), { name: "AccessDeniedException" });
  const client = seenBy(group, (send, command, options) =>
    command.constructor.name === "ListShardsCommand"
      ? Promise.reject(denied)
      : send(command, options),
  );
  await group.join("a");
  const b = await group.join("b", { consumer: { client } });
  await group.world.clock.advance(6000);
  expect(b.reads).toEqual(["01"]);
  await group.world.split(S1);
  await group.world.clock.advance(100_000);
  expect(b.run.settled).toBeUndefined();
  expect(group.data.application(SCOPE).shards.get(S1)!.checkpoint).toEqual({ kind: "shard-end" });
  expect(b.reads.length).toBeGreaterThan(0);
});

test("what a listing says of a child stays, whatever its parent's reader announces at a stop", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  await group.join("a", { consumer: { discoveryIntervalMs: 1000 } });
  const b = await group.join("b");
  await world.clock.advance(6000);
  expect(b.reads).toEqual(["01"]);
  b.link.state = "hangs";
  b.link.only = ["listWorkers", "listLeases"];
  await world.clock.advance(2000);
  await world.split(S1);
  await world.clock.advance(1500);
  const rows = group.data.application(SCOPE).shards;
  const listed = (): unknown[] =>
    ["shardId-000000000002", "shardId-000000000003"].map((child) => {
      const { lineage } = rows.get(child)!;
      return (JSON.parse(lineage!) as { listed: unknown }).listed;
    });
  expect(listed(), "the listing came first").toEqual([true, true]);
  b.link.calls.length = 0;
  b.run.abort();
  for (let ms = 0; ms < 5000 && !b.link.calls.includes("releaseLeases"); ms += 1) {
    await world.clock.advance(1);
    expect(listed()).toEqual([true, true]);
  }
  expect(b.link.calls).toContain("putShards");
});
