import { ListShardsCommand, UpdateShardCountCommand } from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Scenarios } from "./scenario.ts";
import { untilAfter } from "./until.ts";
import { MIDDLE, SHARD_0, SHARD_1, WireStream } from "./wire-stream.ts";

const SHARD_2 = "shardId-000000000002";
const MAX_HASH_KEY = (2n ** 128n - 1n).toString();

/** Splits, merges, the ends of shards, and the listing of all that. */
export const reshardingScenarios: Scenarios = {
  "a split closes the parent and opens two children": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.split(SHARD_0, MIDDLE);
    const [parent, ...children] = await stream.shards();
    expect(parent!.SequenceNumberRange!.EndingSequenceNumber).toMatch(/^49\d{54}$/);
    expect(children).toMatchObject([
      {
        ShardId: SHARD_1,
        ParentShardId: SHARD_0,
        HashKeyRange: { StartingHashKey: "0", EndingHashKey: (BigInt(MIDDLE) - 1n).toString() },
      },
      {
        ShardId: SHARD_2,
        ParentShardId: SHARD_0,
        HashKeyRange: { StartingHashKey: MIDDLE, EndingHashKey: MAX_HASH_KEY },
      },
    ]);
    for (const child of children) {
      const start = BigInt(child.SequenceNumberRange!.StartingSequenceNumber!);
      expect(start).toBeGreaterThan(BigInt(parent!.SequenceNumberRange!.EndingSequenceNumber!));
      expect(child.SequenceNumberRange!.EndingSequenceNumber).toBeUndefined();
    }
  },

  "after a split the parent keeps its records and the children get the new ones": async ({
    client,
  }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("old 1", "0");
    await stream.put("old 2", MIDDLE);
    await stream.split(SHARD_0, MIDDLE);
    expect((await stream.put("new 1", "0")).ShardId).toBe(SHARD_1);
    expect((await stream.put("new 2", MIDDLE)).ShardId).toBe(SHARD_2);
    const read = async (ShardId: string) =>
      (await stream.read(await stream.iterator({ ShardId }))).texts;
    expect(await read(SHARD_0)).toEqual(["old 1", "old 2"]);
    expect(await read(SHARD_1)).toEqual(["new 1"]);
    expect(await read(SHARD_2)).toEqual(["new 2"]);
  },

  "a closed shard read to its end has no next iterator": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    await stream.split(SHARD_0, MIDDLE);
    const { texts, last } = await stream.read(await stream.iterator());
    expect(texts).toEqual(["a"]);
    expect(last.NextShardIterator).toBeUndefined();
  },

  "nothing is behind the end of a closed shard": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    await stream.split(SHARD_0, MIDDLE);
    await untilAfter(Date.now() + 1);
    const { last } = await stream.read(await stream.iterator());
    expect(last.MillisBehindLatest).toBe(0);
  },

  "the end of a shard names its children": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const open = await stream.get(await stream.iterator());
    expect(open.ChildShards ?? []).toEqual([]);
    await stream.split(SHARD_0, MIDDLE);
    const { last } = await stream.read(await stream.iterator());
    expect(last.ChildShards).toMatchObject([
      { ShardId: SHARD_1, ParentShards: [SHARD_0], HashKeyRange: { StartingHashKey: "0" } },
      { ShardId: SHARD_2, ParentShards: [SHARD_0], HashKeyRange: { StartingHashKey: MIDDLE } },
    ]);
  },

  "LATEST on a closed shard is its end": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    await stream.split(SHARD_0, MIDDLE);
    const latest = await stream.iterator({ ShardIteratorType: "LATEST" });
    const { texts, last } = await stream.read(latest);
    expect(texts).toEqual([]);
    expect(last.NextShardIterator).toBeUndefined();
  },

  "an iterator from before a split reads on to the end": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const latest = await stream.iterator({ ShardIteratorType: "LATEST" });
    await stream.put("a");
    await stream.split(SHARD_0, MIDDLE);
    const { texts, last } = await stream.read(latest);
    expect(texts).toEqual(["a"]);
    expect(last.NextShardIterator).toBeUndefined();
  },

  "a merge has two parents, and both end in it": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    await stream.put("left", "0");
    await stream.put("right", MIDDLE);
    await stream.merge(SHARD_0, SHARD_1);
    const shards = await stream.shards();
    expect(shards[2]).toMatchObject({
      ShardId: SHARD_2,
      ParentShardId: SHARD_0,
      AdjacentParentShardId: SHARD_1,
      HashKeyRange: { StartingHashKey: "0", EndingHashKey: MAX_HASH_KEY },
    });
    for (const [ShardId, text] of [
      [SHARD_0, "left"],
      [SHARD_1, "right"],
    ] as const) {
      const { texts, last } = await stream.read(await stream.iterator({ ShardId }));
      expect(texts).toEqual([text]);
      expect(last.NextShardIterator).toBeUndefined();
    }
    expect((await stream.put("both", MIDDLE)).ShardId).toBe(SHARD_2);
  },

  "both parents of a merge name the child with both parents": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    await stream.merge(SHARD_0, SHARD_1);
    for (const ShardId of [SHARD_0, SHARD_1]) {
      const { last } = await stream.read(await stream.iterator({ ShardId }));
      expect(last.ChildShards).toMatchObject([{ ShardId: SHARD_2 }]);
      expect(last.ChildShards![0]!.ParentShards!.toSorted()).toEqual([SHARD_0, SHARD_1]);
    }
  },

  "a split outside the shard is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    await expect(stream.split(SHARD_0, MIDDLE)).rejects.toMatchObject({
      name: "InvalidArgumentException",
    });
  },

  "a closed shard cannot be split": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.split(SHARD_0, MIDDLE);
    await expect(stream.split(SHARD_0, MIDDLE)).rejects.toMatchObject({ $fault: "client" });
  },

  "shards that do not touch cannot be merged": async ({ client }) => {
    const stream = await new WireStream(client).create(3);
    await expect(stream.merge(SHARD_0, SHARD_2)).rejects.toMatchObject({
      name: "InvalidArgumentException",
    });
  },

  "UpdateShardCount leaves equal open shards": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    for (const TargetShardCount of [3, 2]) {
      await client.send(
        new UpdateShardCountCommand({
          StreamName: stream.name,
          TargetShardCount,
          ScalingType: "UNIFORM_SCALING",
        }),
      );
      await stream.untilActive();
      const open = (await stream.shards())
        .filter((shard) => shard.SequenceNumberRange!.EndingSequenceNumber === undefined)
        .map((shard) => BigInt(shard.HashKeyRange!.StartingHashKey!))
        .toSorted((a, b) => (a < b ? -1 : 1));
      const size = 2n ** 128n / BigInt(TargetShardCount);
      expect(open).toEqual(
        Array.from({ length: TargetShardCount }, (_, index) => size * BigInt(index)),
      );
    }
  },

  "UpdateShardCount cannot more than double": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(
      client.send(
        new UpdateShardCountCommand({
          StreamName: stream.name,
          TargetShardCount: 3,
          ScalingType: "UNIFORM_SCALING",
        }),
      ),
    ).rejects.toMatchObject({ $fault: "client" });
  },

  "ListShards pages, and a token stands for the stream": async ({ client }) => {
    const stream = await new WireStream(client).create(5);
    const ids: (string | undefined)[] = [];
    let pages = 0;
    let token: string | undefined;
    do {
      const page = await client.send(
        new ListShardsCommand({
          MaxResults: 2,
          ...(token === undefined ? { StreamName: stream.name } : { NextToken: token }),
        }),
      );
      pages++;
      ids.push(...page.Shards!.map((shard) => shard.ShardId));
      token = page.NextToken;
    } while (token !== undefined);
    expect(pages).toBe(3);
    expect(ids).toEqual([0, 1, 2, 3, 4].map((index) => `shardId-00000000000${index}`));
  },

  "ListShards refuses a token together with the stream's name": async ({ client }) => {
    const { name } = await new WireStream(client).create(2);
    const page = await client.send(new ListShardsCommand({ StreamName: name, MaxResults: 1 }));
    expect(page.NextToken).toBeDefined();
    await expect(
      client.send(new ListShardsCommand({ StreamName: name, NextToken: page.NextToken })),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "ListShards needs a stream or a token": async ({ client }) => {
    await expect(client.send(new ListShardsCommand({}))).rejects.toMatchObject({
      name: "InvalidArgumentException",
    });
  },

  "ListShards goes on after a shard": async ({ client }) => {
    const { name } = await new WireStream(client).create(3);
    const { Shards } = await client.send(
      new ListShardsCommand({ StreamName: name, ExclusiveStartShardId: SHARD_0 }),
    );
    expect(Shards!.map((shard) => shard.ShardId)).toEqual([SHARD_1, SHARD_2]);
  },

  "ListShards filters: open now, after a shard, open then": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.split(SHARD_0, MIDDLE);
    const list = async (ShardFilter: ListShardsCommand["input"]["ShardFilter"]) => {
      const command = new ListShardsCommand({ StreamName: stream.name, ShardFilter });
      return (await client.send(command)).Shards!.map((shard) => shard.ShardId);
    };
    expect(await list({ Type: "AT_LATEST" })).toEqual([SHARD_1, SHARD_2]);
    expect(await list({ Type: "AFTER_SHARD_ID", ShardId: SHARD_1 })).toEqual([SHARD_2]);
    expect(await list({ Type: "FROM_TRIM_HORIZON" })).toEqual([SHARD_0, SHARD_1, SHARD_2]);
    expect(await list({ Type: "AT_TRIM_HORIZON" })).toContain(SHARD_0);
  },
};
