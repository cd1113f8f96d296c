import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DeleteResourcePolicyCommand,
  DescribeAccountSettingsCommand,
  DescribeLimitsCommand,
  DisableEnhancedMonitoringCommand,
  EnableEnhancedMonitoringCommand,
  GetResourcePolicyCommand,
  type KinesisClient,
  ListTagsForResourceCommand,
  ListTagsForStreamCommand,
  PutRecordCommand,
  PutResourcePolicyCommand,
  RemoveTagsFromStreamCommand,
  StartStreamEncryptionCommand,
  StopStreamEncryptionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAccountSettingsCommand,
  UpdateMaxRecordSizeCommand,
  UpdateStreamModeCommand,
  UpdateStreamWarmThroughputCommand,
} from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Scenarios } from "./scenario.ts";
import { WireStream } from "./wire-stream.ts";

const ON_DEMAND = { StreamModeDetails: { StreamMode: "ON_DEMAND" } } as const;
const KEY = { EncryptionType: "KMS", KeyId: "alias/aws/kinesis" } as const;
const PROVISIONED = { StreamModeDetails: { StreamMode: "PROVISIONED" } } as const;

/** What streams and the account are set to. */
export const settingsScenarios: Scenarios = {
  "tags are listed in the order of their keys, page by page, until they are removed": async ({
    client,
  }) => {
    const { name: StreamName } = await new WireStream(client).create(1);
    const Tags = { b: "1", c: "", a: "2" };
    await client.send(new AddTagsToStreamCommand({ StreamName, Tags }));
    await client.send(new AddTagsToStreamCommand({ StreamName, Tags: { b: "3" } }));
    const list = (input: { Limit?: number; ExclusiveStartTagKey?: string } = {}) =>
      client.send(new ListTagsForStreamCommand({ StreamName, ...input }));
    expect(await list({ Limit: 2 })).toMatchObject({
      Tags: [
        { Key: "a", Value: "2" },
        { Key: "b", Value: "3" },
      ],
      HasMoreTags: true,
    });
    const rest = { Tags: [{ Key: "c", Value: "" }], HasMoreTags: false };
    expect(await list({ ExclusiveStartTagKey: "b" })).toMatchObject(rest);
    await client.send(new RemoveTagsFromStreamCommand({ StreamName, TagKeys: ["a", "b", "x"] }));
    expect(await list()).toMatchObject(rest);
  },

  "a tag with a character that is not allowed is refused": async ({ client }) => {
    const { name: StreamName } = await new WireStream(client).create(1);
    await expect(
      client.send(new AddTagsToStreamCommand({ StreamName, Tags: { a: "b?" } })),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "a tag whose key begins with aws: is refused": async ({ client }) => {
    const { name: StreamName } = await new WireStream(client).create(1);
    await expect(
      client.send(new AddTagsToStreamCommand({ StreamName, Tags: { "aws:a": "b" } })),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "a stream has 50 tags at most": async ({ client }) => {
    const { name: StreamName } = await new WireStream(client).create(1);
    const add = (from: number, to: number) =>
      client.send(
        new AddTagsToStreamCommand({
          StreamName,
          Tags: Object.fromEntries(
            Array.from({ length: to - from }, (_, index) => [`k${from + index}`, "v"]),
          ),
        }),
      );
    await add(0, 10);
    for (let from = 10; from < 50; from += 10) await add(from, from + 10);
    await expect(add(50, 51)).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "CreateStream takes tags": async ({ client }) => {
    const stream = new WireStream(client);
    const { name: StreamName } = stream;
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1, Tags: { a: "b" } }));
    await stream.untilActive();
    const { Tags } = await client.send(new ListTagsForStreamCommand({ StreamName }));
    expect(Tags).toEqual([{ Key: "a", Value: "b" }]);
  },

  "a stream's tags are those of its ARN": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { name: StreamName } = stream;
    const { StreamARN: ResourceARN } = await stream.summary();
    await client.send(new TagResourceCommand({ ResourceARN, Tags: { a: "b", c: "d" } }));
    await client.send(new UntagResourceCommand({ ResourceARN, TagKeys: ["c"] }));
    const Tags = [{ Key: "a", Value: "b" }];
    expect(await client.send(new ListTagsForResourceCommand({ ResourceARN }))).toMatchObject({
      Tags,
    });
    expect(await client.send(new ListTagsForStreamCommand({ StreamName }))).toMatchObject({ Tags });
  },

  "a resource policy is kept until it is deleted": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { StreamARN: ResourceARN } = await stream.summary();
    const Policy = '{"Version":"2012-10-17","Statement":[]}';
    await client.send(new PutResourcePolicyCommand({ ResourceARN, Policy }));
    const get = () => client.send(new GetResourcePolicyCommand({ ResourceARN }));
    expect((await get()).Policy).toBe(Policy);
    await client.send(new DeleteResourcePolicyCommand({ ResourceARN }));
    await expect(get()).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  },

  "a stream is encrypted, and then no longer": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const key = { StreamName: stream.name, ...KEY };
    await client.send(new StartStreamEncryptionCommand(key));
    await stream.untilActive();
    expect(await stream.summary()).toMatchObject({ EncryptionType: "KMS", KeyId: key.KeyId });
    await client.send(new StopStreamEncryptionCommand(key));
    await stream.untilActive();
    const summary = await stream.summary();
    expect(summary.EncryptionType).toBe("NONE");
    expect(summary.KeyId).toBeUndefined();
  },

  "records are marked that were written to an encrypted stream": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("before");
    await client.send(new StartStreamEncryptionCommand({ StreamName: stream.name, ...KEY }));
    await stream.untilActive();
    expect(await stream.put("encrypted")).toMatchObject({ EncryptionType: "KMS" });
    const { Records } = await stream.get(await stream.iterator());
    expect(Records!.map(({ EncryptionType = "NONE" }) => EncryptionType)).toEqual(["NONE", "KMS"]);
  },

  "enhanced monitoring says which metrics there were and which there are": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { name: StreamName } = stream;
    const enable = (metric: "ALL" | "IncomingBytes") =>
      client.send(new EnableEnhancedMonitoringCommand({ StreamName, ShardLevelMetrics: [metric] }));
    expect(await enable("IncomingBytes")).toMatchObject({
      CurrentShardLevelMetrics: [],
      DesiredShardLevelMetrics: ["IncomingBytes"],
    });
    const { DesiredShardLevelMetrics: all } = await enable("ALL");
    expect(all).toHaveLength(7);
    expect(all).not.toContain("ALL");
    const others = all!.filter((metric) => metric !== "IncomingBytes");
    await client.send(
      new DisableEnhancedMonitoringCommand({ StreamName, ShardLevelMetrics: others }),
    );
    expect((await stream.summary()).EnhancedMonitoring).toEqual([
      { ShardLevelMetrics: ["IncomingBytes"] },
    ]);
  },

  "limits count open shards and on-demand streams": async ({ client }) => {
    const limits = async () => {
      const { OpenShardCount, OnDemandStreamCount = NaN } = await client.send(
        new DescribeLimitsCommand({}),
      );
      return [OpenShardCount!, OnDemandStreamCount] as const;
    };
    const before = await limits();
    await new WireStream(client).create(2);
    await onDemand(client);
    expect(await limits()).toEqual([before[0] + 6, before[1] + 1]);
  },

  "a stream in on-demand mode has four shards": async ({ client }) => {
    const stream = await onDemand(client);
    expect(await stream.summary()).toMatchObject({ ...ON_DEMAND, OpenShardCount: 4 });
  },

  "a change of a stream's mode leaves its shards": async ({ client }) => {
    const stream = await new WireStream(client).create(3);
    const { StreamARN } = await stream.summary();
    const before = await stream.shards();
    await client.send(new UpdateStreamModeCommand({ StreamARN, ...ON_DEMAND }));
    await stream.untilActive();
    expect(await stream.summary()).toMatchObject({ ...ON_DEMAND, OpenShardCount: 3 });
    expect(await stream.shards()).toEqual(before);
    await client.send(new UpdateStreamModeCommand({ StreamARN, ...PROVISIONED }));
    await stream.untilActive();
    expect(await stream.summary()).toMatchObject(PROVISIONED);
  },

  "a stream may take records of up to 10 MiB": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { StreamARN } = await stream.summary();
    const put = (size: number) =>
      client.send(
        new PutRecordCommand({ StreamARN, PartitionKey: "k", Data: new Uint8Array(size) }),
      );
    await expect(put(2 ** 20 + 1)).rejects.toMatchObject({ $fault: "client" });
    await client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 10_240 }));
    await stream.untilActive();
    expect((await stream.summary()).MaxRecordSizeInKiB).toBe(10_240);
    await put(2 ** 20 + 1);
  },

  "the account's commitment is made": async ({ client }) => {
    await commit(client);
    const { MinimumThroughputBillingCommitment: made } = await client.send(
      new DescribeAccountSettingsCommand({}),
    );
    expect(made).toMatchObject({ Status: "ENABLED", StartedAt: expect.any(Date) });
  },

  "a stream's warm throughput is set": async ({ client }) => {
    await commit(client);
    const stream = await onDemand(client);
    const reply = await client.send(
      new UpdateStreamWarmThroughputCommand({ StreamName: stream.name, WarmThroughputMiBps: 6 }),
    );
    expect(reply.WarmThroughput).toMatchObject({ TargetMiBps: 6 });
  },
};

async function commit(client: KinesisClient): Promise<void> {
  const MinimumThroughputBillingCommitment = { Status: "ENABLED" } as const;
  await client.send(new UpdateAccountSettingsCommand({ MinimumThroughputBillingCommitment }));
}

async function onDemand(client: KinesisClient): Promise<WireStream> {
  const stream = new WireStream(client);
  await client.send(new CreateStreamCommand({ StreamName: stream.name, ...ON_DEMAND }));
  await stream.untilActive();
  return stream;
}
