import * as sdk from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { isOperationName, whyNotServed } from "../src/operations/operations.ts";
import { startEmulator } from "../src/index.ts";
import { bytes, setup } from "./setup.ts";

const ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
const s = { StreamName: "s" };
const resource = { ResourceARN: ARN };

describe("every operation of the installed SDK", () => {
  const names = Object.keys(sdk).flatMap((name) => /^([A-Z]\w+)Command$/.exec(name)?.[1] ?? []);

  it.each(names)("is served, or refused by name: %s", (name) => {
    if (!isOperationName(name)) expect(whyNotServed(name)).toMatch(/^\w+ is not emulated \(/);
  });

  it("that is refused says what is missing, over HTTP and in a FakeKinesis", async () => {
    await using emulator = await startEmulator();
    const response = await fetch(emulator.url, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "Kinesis_20131202.CreateChannel",
      },
      body: "{}",
    });
    expect([response.status, await response.json()]).toEqual([
      400,
      {
        __type: "UnknownOperationException",
        message: "CreateChannel is not emulated (channels).",
      },
    ]);
    const command = new sdk.RegisterStreamConsumerCommand({ StreamARN: ARN, ConsumerName: "c" });
    await expect(emulator.kinesis.send(command)).rejects.toThrow(
      "RegisterStreamConsumer is not emulated (enhanced fan-out)",
    );
  });
});

describe("tags", () => {
  it("are those of CreateStream, of a stream's name and of its ARN, in the order of their keys", async () => {
    const { kinesis } = setup();
    const t = { StreamName: "t" };
    await kinesis.send(
      new sdk.CreateStreamCommand({ ...t, ShardCount: 1, Tags: { b: "1", d: "0" } }),
    );
    await kinesis.send(new sdk.AddTagsToStreamCommand({ ...t, Tags: { a: "2", b: "3" } }));
    const t2 = { ResourceARN: ARN.replace(/s$/, "t") };
    await kinesis.send(new sdk.TagResourceCommand({ ...t2, Tags: { c: "" } }));
    const listed = await kinesis.send(new sdk.ListTagsForStreamCommand({ ...t, Limit: 2 }));
    expect(listed).toMatchObject({
      Tags: [
        { Key: "a", Value: "2" },
        { Key: "b", Value: "3" },
      ],
      HasMoreTags: true,
    });
    const rest = new sdk.ListTagsForStreamCommand({ ...t, ExclusiveStartTagKey: "b" });
    expect(await kinesis.send(rest)).toMatchObject({
      Tags: [
        { Key: "c", Value: "" },
        { Key: "d", Value: "0" },
      ],
      HasMoreTags: false,
    });
    await kinesis.send(new sdk.RemoveTagsFromStreamCommand({ ...t, TagKeys: ["a", "x"] }));
    await kinesis.send(new sdk.UntagResourceCommand({ ...t2, TagKeys: ["b"] }));
    const left = await kinesis.send(new sdk.ListTagsForResourceCommand(t2));
    expect(left.Tags!.map(({ Key }) => Key)).toEqual(["c", "d"]);
  });

  it("are refused all together: above 50, and with a character that is not allowed", async () => {
    const { kinesis } = setup();
    const add = (Tags: Record<string, string>) =>
      kinesis.send(new sdk.AddTagsToStreamCommand({ ...s, Tags }));
    await add(Object.fromEntries(Array.from({ length: 49 }, (_, i) => [`k${i}`, "v"])));
    await expect(add({ x: "1", y: "2" })).rejects.toThrow(sdk.InvalidArgumentException);
    await expect(add({ x: "a?" })).rejects.toThrow(sdk.InvalidArgumentException);
    const { Tags } = await kinesis.send(new sdk.ListTagsForResourceCommand(resource));
    expect(Tags).toHaveLength(49);
  });

  it.each([
    new sdk.CreateStreamCommand({ StreamName: "t", ShardCount: 1, Tags: { "aws:team": "a" } }),
    new sdk.AddTagsToStreamCommand({ ...s, Tags: { team: "a", "aws:team": "a" } }),
    new sdk.TagResourceCommand({ ...resource, Tags: { team: "a", "aws:team": "a" } }),
  ])("are refused where a key begins with aws:, which is the service's own prefix", async (add) => {
    const { kinesis } = setup();
    await expect(kinesis.send(add as sdk.TagResourceCommand)).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining("aws:team"),
    });
    expect(await kinesis.send(new sdk.ListStreamsCommand({}))).toMatchObject({
      StreamNames: ["s"],
    });
    const { Tags } = await kinesis.send(new sdk.ListTagsForResourceCommand(resource));
    expect(Tags).toEqual([]);
  });
});

it("a resource policy is kept until it is deleted, and has to be one", async () => {
  const { kinesis } = setup();
  const Policy = '{"Version":"2012-10-17","Statement":[]}';
  await expect(
    kinesis.send(new sdk.PutResourcePolicyCommand({ ...resource, Policy: "text" })),
  ).rejects.toThrow(sdk.InvalidArgumentException);
  await kinesis.send(new sdk.PutResourcePolicyCommand({ ...resource, Policy }));
  const get = () => kinesis.send(new sdk.GetResourcePolicyCommand(resource));
  expect(await get()).toMatchObject({ Policy });
  await kinesis.send(new sdk.DeleteResourcePolicyCommand(resource));
  await expect(get()).rejects.toThrow(sdk.ResourceNotFoundException);
});

it("encryption marks the records that are written while it is on", async () => {
  const { kinesis, put, iterator, read } = setup();
  const key = { ...s, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" } as const;
  expect(await put("a")).not.toHaveProperty("EncryptionType");
  await kinesis.send(new sdk.StartStreamEncryptionCommand(key));
  expect(await put("b")).toMatchObject({ EncryptionType: "KMS" });
  const described = await kinesis.send(new sdk.DescribeStreamSummaryCommand(s));
  expect(described.StreamDescriptionSummary).toMatchObject({
    EncryptionType: "KMS",
    KeyId: "alias/aws/kinesis",
  });
  await kinesis.send(new sdk.StopStreamEncryptionCommand(key));
  await put("c");
  const { Records } = await read(await iterator());
  expect(Records!.map((record) => record.EncryptionType)).toEqual([undefined, "KMS", undefined]);
  await expect(
    kinesis.send(new sdk.StartStreamEncryptionCommand({ ...key, EncryptionType: "NONE" })),
  ).rejects.toThrow(sdk.InvalidArgumentException);
});

it("enhanced monitoring says which metrics there were and which there are", async () => {
  const { kinesis } = setup();
  const enabled = await kinesis.send(
    new sdk.EnableEnhancedMonitoringCommand({ ...s, ShardLevelMetrics: ["IncomingBytes"] }),
  );
  expect(enabled).toMatchObject({
    CurrentShardLevelMetrics: [],
    DesiredShardLevelMetrics: ["IncomingBytes"],
  });
  const all = await kinesis.send(
    new sdk.EnableEnhancedMonitoringCommand({ ...s, ShardLevelMetrics: ["ALL"] }),
  );
  expect(all.DesiredShardLevelMetrics).toHaveLength(7);
  await kinesis.send(
    new sdk.DisableEnhancedMonitoringCommand({
      ...s,
      ShardLevelMetrics: all.DesiredShardLevelMetrics!.slice(1),
    }),
  );
  const { StreamDescription } = await kinesis.send(new sdk.DescribeStreamCommand(s));
  expect(StreamDescription!.EnhancedMonitoring).toEqual([{ ShardLevelMetrics: ["IncomingBytes"] }]);
});

it("a record may be as large as the stream allows, and says what is too large", async () => {
  const { kinesis } = setup({ quotas: false });
  const put = (size: number, PartitionKey = "k") =>
    kinesis.send(new sdk.PutRecordCommand({ ...s, PartitionKey, Data: new Uint8Array(size) }));
  const MIB = 1024 * 1024;
  await put(MIB - 1);
  await expect(put(MIB)).rejects.toMatchObject({
    name: "InvalidArgumentException",
    message: expect.stringContaining(`data of ${MIB} bytes and partition key of 1 bytes`),
  });
  await expect(put(MIB + 1)).rejects.toThrow(`Value at 'data' failed to satisfy`);
  await expect(put(1, "k".repeat(257))).rejects.toThrow("at 'partitionKey' failed to satisfy");
  await kinesis.send(
    new sdk.UpdateMaxRecordSizeCommand({ StreamARN: ARN, MaxRecordSizeInKiB: 10_240 }),
  );
  await put(10 * MIB - 1);
  await expect(put(10 * MIB + 1)).rejects.toThrow("less than or equal to 10485760");
  const summary = await kinesis.send(new sdk.DescribeStreamSummaryCommand(s));
  expect(summary.StreamDescriptionSummary!.MaxRecordSizeInKiB).toBe(10_240);
});

it("limits count open shards and on-demand streams, and hold for requests", async () => {
  const { kinesis } = setup({ streams: { s: 3 } });
  await kinesis.send(
    new sdk.CreateStreamCommand({
      StreamName: "t",
      StreamModeDetails: { StreamMode: "ON_DEMAND" },
    }),
  );
  expect(await kinesis.send(new sdk.DescribeLimitsCommand({}))).toMatchObject({
    ShardLimit: 20_000,
    OpenShardCount: 7,
    OnDemandStreamCount: 1,
    OnDemandStreamCountLimit: 50,
  });
  const create = (ShardCount: number) =>
    kinesis.send(new sdk.CreateStreamCommand({ StreamName: "u", ShardCount }));
  await expect(create(20_000 - 7 + 1)).rejects.toThrow(sdk.LimitExceededException);
  // Refused before any shard is made.
  await expect(create(2 ** 31 - 1)).rejects.toThrow(sdk.LimitExceededException);
  await create(20_000 - 7);
});

it("StreamId is taken, and has to look like one", async () => {
  const { kinesis, iterator, read } = setup();
  const StreamId = "abcdefghijklmnopqrst-abc";
  const ShardIterator = await iterator({ StreamId });
  const Data = bytes("a");
  await kinesis.send(new sdk.PutRecordCommand({ ...s, StreamId, PartitionKey: "k", Data }));
  expect((await read(ShardIterator)).Records).toHaveLength(1);
  await expect(
    kinesis.send(new sdk.ListShardsCommand({ ...s, StreamId: "not one" })),
  ).rejects.toThrow(sdk.ValidationException);
});

it("a shard that was split or merged is refused with the service's reason", async () => {
  const { kinesis } = setup({ streams: { s: 3 } });
  const [first, second, third] = [0, 1, 2].map((index) => `shardId-00000000000${index}`);
  await kinesis.send(
    new sdk.SplitShardCommand({ ...s, ShardToSplit: first, NewStartingHashKey: "7" }),
  );
  await kinesis.send(
    new sdk.MergeShardsCommand({ ...s, ShardToMerge: second, AdjacentShardToMerge: third }),
  );
  for (const ShardToSplit of [first, second]) {
    const again = new sdk.SplitShardCommand({ ...s, ShardToSplit, NewStartingHashKey: "7" });
    await expect(kinesis.send(again)).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message:
        `Shard ${ShardToSplit} in stream s under account 000000000000 has already been merged or ` +
        "split, and thus is not eligible for merging or splitting.",
    });
  }
});
