import { ListShardsCommand, type ListShardsCommandOutput } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import {
  AllGroup,
  LeaseGroup,
  MemoryStore,
  type AnyGroup,
  type GroupHost,
  type HashKeyRange,
  type KinesisClientLike,
  type ShardAssignment,
} from "../src/index.ts";
import { sleep } from "../src/clock.ts";
import { OneShard } from "../src/groups/one-shard.ts";
import { GroupWorld, handled, range, SCOPE } from "./support/group-world.ts";
import { STREAM, type World } from "./support/world.ts";

const S0 = "shardId-000000000000";
/** What the version before this one wrote for a shard that a listing had named. */
const ROW_BEFORE = '{"parents":[],"listed":true,"atStart":true,"afterParent":false}';
/** Its order of members, and all that it knew. */
const MEMBERS_BEFORE = ["parents", "listed", "atStart", "afterParent", "unreadBy", "readableBy"];

/** A group that keeps what it assigns. */
class Watched implements AnyGroup {
  readonly needsLeases: boolean;
  readonly inner: AnyGroup;
  readonly assignments: ShardAssignment[] = [];

  constructor(inner: AnyGroup) {
    this.inner = inner;
    this.needsLeases = inner.needsLeases ?? false;
  }

  get lacks(): AnyGroup["lacks"] {
    return this.inner.lacks;
  }

  run(host: GroupHost, signal: AbortSignal): Promise<void> {
    const read: GroupHost["read"] = (assignment) => {
      this.assignments.push(assignment);
      return host.read(assignment);
    };
    const watched = new Proxy(host, {
      get: (_target, name) => {
        if (name === "read") return read;
        const member: unknown = Reflect.get(host, name, host);
        return typeof member === "function" ? member.bind(host) : member;
      },
    });
    return this.inner.run(watched, signal);
  }

  /** What it says now of the hash keys, of each shard's last assignment. */
  get ranges(): Record<string, HashKeyRange | undefined> {
    return Object.fromEntries(
      this.assignments.map(({ shardId, hashKeyRange }) => [shardId, hashKeyRange()]),
    );
  }
}

/** The ranges by the stream itself. */
async function listed(world: World): Promise<Record<string, HashKeyRange>> {
  const { Shards } = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  return Object.fromEntries(
    Shards!.map(({ ShardId, HashKeyRange }) => [
      ShardId!,
      {
        startingHashKey: HashKeyRange!.StartingHashKey!,
        endingHashKey: HashKeyRange!.EndingHashKey!,
      },
    ]),
  );
}

/** What a service answers, with the hash keys changed. */
function withRanges(world: World, change: (range: object | undefined) => unknown) {
  const send: KinesisClientLike["send"] = async (command, options) => {
    const output = await world.kinesis.send(command, options);
    if (command.constructor.name !== "ListShardsCommand") return output;
    const { Shards, ...rest } = output as ListShardsCommandOutput;
    const changed = Shards!.map((shard) => ({
      ...shard,
      HashKeyRange: change(shard.HashKeyRange),
    }));
    return { ...rest, Shards: changed };
  };
  return { send };
}

async function start(
  { world, data }: GroupWorld,
  inner: AnyGroup,
  client: KinesisClientLike = world.kinesis,
): Promise<Watched> {
  const group = new Watched(inner);
  const store = new MemoryStore({ data });
  const options = { group, store, client, start: "TRIM_HORIZON" } as const;
  await world.start(options as Parameters<World["start"]>[0]);
  await world.clock.advance(5000);
  return group;
}

/** The shards' rows, as they stand. */
function lineages({ data }: GroupWorld): Record<string, unknown>[] {
  const { shards } = data.application(SCOPE);
  return [...shards.values()].map(({ lineage }) => JSON.parse(lineage!) as Record<string, unknown>);
}

/** Each row as the version before this one would write it. */
function writtenBefore({ data }: GroupWorld): void {
  const application = data.application(SCOPE);
  for (const shard of application.shards.values()) {
    const row = JSON.parse(shard.lineage!) as Record<string, unknown>;
    shard.lineage = JSON.stringify(row, MEMBERS_BEFORE);
  }
  application.revision += 1;
}

test.each([
  ["an AllGroup", () => new AllGroup()],
  ["scanShard", () => new OneShard(S0)],
  ["a LeaseGroup", () => new LeaseGroup({ workerId: "a" })],
])("%s assigns a shard with its hash keys", async (_name, make) => {
  const group = await GroupWorld.of({ shards: 1 });
  const { ranges } = await start(group, make());
  expect(ranges).toEqual(await listed(group.world));
});

test("children that their parent's last page named are assigned with their hash keys", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const watched = await start(group, new LeaseGroup({ workerId: "a" }));
  await group.world.split(S0);
  await group.world.clock.advance(5000);
  expect(Object.keys(watched.ranges)).toHaveLength(3);
  expect(watched.ranges).toEqual(await listed(group.world));
});

test("rows of the version before get the hash keys with the first listing, and readers see them", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world, data } = group;
  for (const shardId of await world.shardIds()) data.shard(SCOPE, shardId).lineage = ROW_BEFORE;
  const slow = withRanges(world, (keys) => keys);
  const { send } = slow;
  slow.send = async (command, options) => {
    const output = await send(command, options);
    if (command.constructor.name === "ListShardsCommand") await sleep(world.clock, 10_000);
    return output;
  };
  await group.put(0, 10);
  const watched = await start(group, new LeaseGroup({ workerId: "a" }), slow);
  const none = Object.fromEntries((await world.shardIds()).map((id) => [id, undefined]));
  expect(watched.ranges, "assigned before the listing came").toEqual(none);
  await world.clock.advance(10_000);
  expect(watched.assignments, "no shard was claimed again").toHaveLength(2);
  const ranges = await listed(world);
  expect(watched.ranges).toEqual(ranges);
  const { Shards } = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  expect(lineages(group)).toEqual(
    Shards!.map(({ ShardId, SequenceNumberRange: { StartingSequenceNumber } = {} }) => ({
      ...JSON.parse(ROW_BEFORE),
      hashKeyRange: ranges[ShardId!],
      startingSequenceNumber: StartingSequenceNumber,
    })),
  );
});

test("a worker of the version before may write the rows: shards stay, and the next listing repairs them", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  const ranges = await listed(world);
  const watched = await start(group, new LeaseGroup({ workerId: "a" }));
  const withNote = lineages(group);
  writtenBefore(group);
  await world.clock.advance(5000);
  expect(lineages(group).map(({ hashKeyRange }) => hashKeyRange)).toEqual([undefined, undefined]);
  expect(watched.ranges, "a reader keeps what it knew").toEqual(ranges);
  await world.clock.advance(30_000);
  expect(lineages(group)).toEqual(withNote);
  const { revision } = group.data.application(SCOPE);
  await world.clock.advance(120_000);
  expect(group.data.application(SCOPE).revision, "nothing more is written").toBe(revision);
  expect(watched.assignments).toHaveLength(2);
});

test("an upgrade that the store does not take holds up no claim, and comes later", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world, data } = group;
  for (const shardId of await world.shardIds()) data.shard(SCOPE, shardId).lineage = ROW_BEFORE;
  await group.put(0, 10);
  const a = await group.join("a", {}, undefined, (link) => {
    link.state = "cut";
    link.only = ["putShards"];
  });
  await world.clock.advance(5000);
  expect(handled(a)).toEqual(range(0, 10));
  a.link.state = "whole";
  await world.clock.advance(60_000);
  const ranges = Object.values(await listed(world));
  expect(lineages(group).map(({ hashKeyRange }) => hashKeyRange)).toEqual(ranges);
});

test.each([
  ["none", undefined],
  ["null", null],
  ["numbers", { StartingHashKey: 0, EndingHashKey: 1 }],
  ["signs", { StartingHashKey: "-1", EndingHashKey: "1" }],
  ["the end before the start", { StartingHashKey: "2", EndingHashKey: "1" }],
])("a service that gives no hash keys is read all the same: %s", async (_name, keys) => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  await group.put(0, 10);
  const a = await group.join("a", { consumer: { client: withRanges(world, () => keys) } });
  await world.clock.advance(5000);
  expect(handled(a)).toEqual(range(0, 10));
  expect(lineages(group).map(({ hashKeyRange }) => hashKeyRange)).toEqual([undefined, undefined]);
});
