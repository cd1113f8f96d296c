import {
  CreateStreamCommand,
  DescribeStreamCommand,
  ExpiredNextTokenException,
  ListShardsCommand,
  type ListShardsCommandInput,
  ResourceInUseException,
  ResourceNotFoundException,
  type ShardFilter,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { SHARD, setup } from "./setup.ts";

const MIDDLE = (2n ** 127n).toString();
const [CHILD_1, CHILD_2] = ["shardId-000000000001", "shardId-000000000002"];

function listing(options: Parameters<typeof setup>[0] = {}) {
  const { clock, kinesis, ...rest } = setup(options);
  const list = (input: ListShardsCommandInput) => kinesis.send(new ListShardsCommand(input));
  const ids = async (ShardFilter?: ShardFilter) => {
    const { Shards } = await list({ StreamName: "s", ...(ShardFilter ? { ShardFilter } : {}) });
    return Shards!.map((shard) => shard.ShardId);
  };
  const split = () =>
    kinesis.send(
      new SplitShardCommand({ StreamName: "s", ShardToSplit: SHARD, NewStartingHashKey: MIDDLE }),
    );
  return { clock, kinesis, list, ids, split, ...rest };
}

describe("ListShards", () => {
  it("refuses a token after 300 seconds", async () => {
    const { clock, list } = listing({ streams: { s: 3 } });
    const { NextToken } = await list({ StreamName: "s", MaxResults: 1 });
    await clock.advance(300_000);
    expect((await list({ NextToken })).Shards).toHaveLength(2);
    await clock.advance(1);
    await expect(list({ NextToken })).rejects.toThrow(ExpiredNextTokenException);
  });

  it.each(["StreamName", "StreamARN"] as const)(
    "refuses a token together with %s: a token goes alone",
    async (member) => {
      const { list } = listing({ streams: { s: 2 } });
      const stream = {
        StreamName: "s",
        StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s",
      };
      const { NextToken } = await list({ StreamName: "s", MaxResults: 1 });
      await expect(list({ NextToken, [member]: stream[member] })).rejects.toMatchObject({
        name: "InvalidArgumentException",
        message: `NextToken and ${member} cannot be provided together.`,
      });
    },
  );

  it("gives at most 1,000 shards a page", async () => {
    const { list } = listing({ streams: { s: 1001 } });
    const first = await list({ StreamName: "s", MaxResults: 10_000 });
    expect(first.Shards).toHaveLength(1000);
    expect((await list({ NextToken: first.NextToken })).Shards).toHaveLength(1);
  });

  it("filters by time, and takes a time before the horizon for the horizon", async () => {
    const { clock, ids, split } = listing();
    await clock.advance(60_000);
    const before = new Date(clock.now() - 1);
    await split();
    const after = new Date(clock.now() + 1);
    const long = new Date(0);
    const children = [CHILD_1, CHILD_2];
    expect(await ids({ Type: "AT_TIMESTAMP", Timestamp: before })).toEqual([SHARD]);
    expect(await ids({ Type: "AT_TIMESTAMP", Timestamp: after })).toEqual(children);
    expect(await ids({ Type: "AT_TIMESTAMP", Timestamp: long })).toEqual([SHARD]);
    expect(await ids({ Type: "AT_TRIM_HORIZON" })).toEqual([SHARD]);
    expect(await ids({ Type: "FROM_TIMESTAMP", Timestamp: before })).toEqual([SHARD, ...children]);
    expect(await ids({ Type: "FROM_TIMESTAMP", Timestamp: after })).toEqual(children);
    expect(await ids({ Type: "FROM_TIMESTAMP", Timestamp: long })).toEqual([SHARD, ...children]);
  });

  it("forgets a shard when retention has passed its end", async () => {
    const { clock, ids, split, iterator } = listing();
    await split();
    await clock.advance(24 * 3_600_000);
    expect(await ids()).toEqual([SHARD, CHILD_1, CHILD_2]);
    await clock.advance(1);
    expect(await ids()).toEqual([CHILD_1, CHILD_2]);
    await expect(iterator()).rejects.toThrow(ResourceNotFoundException);
  });

  it("waits for a stream that is being made", async () => {
    const { kinesis, list } = listing({ streams: {}, transitionMs: 100 });
    await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    await expect(list({ StreamName: "s" })).rejects.toThrow(ResourceInUseException);
  });
});

describe("a split that takes time", () => {
  it("leaves the parent open until it is over", async () => {
    const { clock, ids, split, put } = listing({ transitionMs: 1000 });
    await split();
    expect(await ids()).toEqual([SHARD]);
    expect((await put("a")).ShardId).toBe(SHARD);
    await expect(split()).rejects.toMatchObject({
      name: "ResourceInUseException",
      message: "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING",
    });
    await clock.advance(1000);
    expect(await ids()).toEqual([SHARD, CHILD_1, CHILD_2]);
    expect((await put("a")).ShardId).not.toBe(SHARD);
  });
});

describe("the end of a shard", () => {
  it("names the children, or not", async () => {
    for (const omitChildShards of [false, true]) {
      const { split, iterator, read } = listing({ omitChildShards });
      await split();
      const end = await read(await iterator());
      expect(end.NextShardIterator).toBeUndefined();
      expect(end.ChildShards?.map((child) => child.ShardId)).toEqual(
        omitChildShards ? undefined : [CHILD_1, CHILD_2],
      );
    }
  });

  it("comes with the last records", async () => {
    const { split, put, iterator, read } = listing();
    await put("a");
    await split();
    const end = await read(await iterator());
    expect(end.Records).toHaveLength(1);
    expect(end.NextShardIterator).toBeUndefined();
  });

  it("shows a reshard only after a while, where that is wanted; GetRecords tells it at once", async () => {
    const { clock, kinesis, ids, list, split, iterator, read } = listing({ listingLagMs: 2000 });
    await split();
    await clock.advance(1999);
    expect(await ids()).toEqual([SHARD]);
    expect(await ids({ Type: "AT_LATEST" })).toEqual([SHARD]);
    const [before] = (await list({ StreamName: "s" })).Shards!;
    expect(before!.SequenceNumberRange).not.toHaveProperty("EndingSequenceNumber");
    const described = await kinesis.send(new DescribeStreamCommand({ StreamName: "s" }));
    expect(described.StreamDescription!.Shards).toEqual([before]);
    const { ChildShards } = await read(await iterator());
    expect(ChildShards!.map(({ ShardId }) => ShardId)).toEqual([CHILD_1, CHILD_2]);
    expect((await read(await iterator({ ShardId: CHILD_1 }))).Records).toEqual([]);

    await clock.advance(1);
    expect(await ids()).toEqual([SHARD, CHILD_1, CHILD_2]);
    expect(await ids({ Type: "AT_LATEST" })).toEqual([CHILD_1, CHILD_2]);
    const [after] = (await list({ StreamName: "s" })).Shards!;
    expect(after!.SequenceNumberRange).toHaveProperty("EndingSequenceNumber");
  });
});
