import {
  CreateStreamCommand,
  DescribeAccountSettingsCommand,
  DescribeStreamSummaryCommand,
  InvalidArgumentException,
  ListShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  SplitShardCommand,
  UpdateAccountSettingsCommand,
  UpdateShardCountCommand,
  UpdateStreamModeCommand,
  UpdateStreamRecordDistributionStrategyCommand,
  UpdateStreamWarmThroughputCommand,
  ValidationException,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { bytes, SHARD, setup } from "./setup.ts";

const StreamName = "d";
const StreamARN = "arn:aws:kinesis:us-east-1:000000000000:stream/d";
const ON_DEMAND = { StreamModeDetails: { StreamMode: "ON_DEMAND" } } as const;
const PROVISIONED = { StreamModeDetails: { StreamMode: "PROVISIONED" } } as const;

async function onDemand(strategy?: "AUTO") {
  const fake = setup();
  await fake.kinesis.send(
    new CreateStreamCommand({
      StreamName,
      ...ON_DEMAND,
      ...(strategy ? { RecordDistributionStrategy: strategy } : {}),
    }),
  );
  const summary = async () => {
    const command = new DescribeStreamSummaryCommand({ StreamName });
    return (await fake.kinesis.send(command)).StreamDescriptionSummary!;
  };
  return { ...fake, summary };
}

describe("a stream in ON_DEMAND mode", () => {
  it("has four shards, and no number of its own", async () => {
    const { kinesis, summary } = await onDemand();
    expect(await summary()).toMatchObject({
      StreamModeDetails: { StreamMode: "ON_DEMAND" },
      OpenShardCount: 4,
      RecordDistributionStrategy: "USER_PARTITION_KEY",
    });
    await expect(
      kinesis.send(new CreateStreamCommand({ StreamName: "e", ShardCount: 1, ...ON_DEMAND })),
    ).rejects.toThrow("ShardCount is not expected when StreamMode=ON_DEMAND");
  });

  it("is not resharded by its owner", async () => {
    const { kinesis } = await onDemand();
    const split = { ShardToSplit: SHARD, NewStartingHashKey: "7" };
    const scale = { TargetShardCount: 8, ScalingType: "UNIFORM_SCALING" } as const;
    await expect(kinesis.send(new SplitShardCommand({ StreamName, ...split }))).rejects.toThrow(
      ValidationException,
    );
    await expect(
      kinesis.send(new UpdateShardCountCommand({ StreamName, ...scale })),
    ).rejects.toThrow(ValidationException);
  });

  it("becomes one, and a provisioned one again with the shards that it has", async () => {
    const { kinesis, summary } = await onDemand("AUTO");
    await kinesis.send(new UpdateStreamModeCommand({ StreamARN, ...PROVISIONED }));
    const provisioned = await summary();
    expect(provisioned).toMatchObject({ ...PROVISIONED, OpenShardCount: 4 });
    expect(provisioned).not.toHaveProperty("RecordDistributionStrategy");
    await kinesis.send(new UpdateStreamModeCommand({ StreamARN, ...ON_DEMAND }));
    expect((await summary()).RecordDistributionStrategy).toBe("USER_PARTITION_KEY");
  });
});

it("a change of mode leaves unequal shards as they are", async () => {
  const { kinesis } = setup();
  const split = { ShardToSplit: SHARD, NewStartingHashKey: "7" };
  await kinesis.send(new SplitShardCommand({ StreamName: "s", ...split }));
  const shards = async () =>
    (await kinesis.send(new ListShardsCommand({ StreamName: "s" }))).Shards!;
  const before = await shards();
  const arn = StreamARN.replace(/d$/, "s");
  await kinesis.send(new UpdateStreamModeCommand({ StreamARN: arn, ...ON_DEMAND }));
  expect(await shards()).toEqual(before);
});

describe("warm throughput", () => {
  const warm = (WarmThroughputMiBps: number) =>
    new UpdateStreamWarmThroughputCommand({ StreamName, WarmThroughputMiBps });
  const commitment = (Status: "ENABLED" | "DISABLED") =>
    new UpdateAccountSettingsCommand({ MinimumThroughputBillingCommitment: { Status } });

  it("needs the account's commitment, and scales the stream", async () => {
    const { kinesis, summary } = await onDemand();
    await expect(kinesis.send(warm(6))).rejects.toThrow(InvalidArgumentException);
    await kinesis.send(commitment("ENABLED"));
    const reply = await kinesis.send(warm(6));
    expect(reply.WarmThroughput).toEqual({ TargetMiBps: 6, CurrentMiBps: 4 });
    expect(await summary()).toMatchObject({
      OpenShardCount: 6,
      WarmThroughput: { TargetMiBps: 6, CurrentMiBps: 6 },
    });
    const { Shards } = await kinesis.send(new ListShardsCommand({ StreamName }));
    expect(Shards!.some((shard) => shard.ParentShardId !== undefined)).toBe(true);
  });

  it("is refused on a provisioned stream", async () => {
    const { kinesis } = setup();
    await kinesis.send(commitment("ENABLED"));
    await expect(
      kinesis.send(
        new UpdateStreamWarmThroughputCommand({ StreamName: "s", WarmThroughputMiBps: 1 }),
      ),
    ).rejects.toThrow(InvalidArgumentException);
  });

  it("has a commitment that lasts a day at least", async () => {
    const { clock, kinesis } = setup();
    const described = async () => {
      const reply = await kinesis.send(new DescribeAccountSettingsCommand({}));
      return reply.MinimumThroughputBillingCommitment!.Status;
    };
    expect(await described()).toBe("DISABLED");
    await kinesis.send(commitment("ENABLED"));
    await kinesis.send(commitment("DISABLED"));
    expect(await described()).toBe("ENABLED_UNTIL_EARLIEST_ALLOWED_END");
    await kinesis.send(commitment("ENABLED"));
    expect(await described()).toBe("ENABLED");
    await kinesis.send(commitment("DISABLED"));
    await clock.advance(24 * 3_600_000);
    expect(await described()).toBe("DISABLED");
  });
});

describe("the distribution AUTO", () => {
  it("takes records without a key, spreads them evenly, and returns them without one", async () => {
    const { kinesis, iterator, read } = await onDemand("AUTO");
    const Records = Array.from({ length: 8 }, () => ({ Data: bytes("a"), ExplicitHashKey: "0" }));
    const reply = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
    const shards = reply.Records!.map(({ ShardId }) => ShardId);
    expect(new Set(shards.slice(0, 4)).size).toBe(4);
    expect(shards.slice(4)).toEqual(shards.slice(0, 4));
    const page = await read(await iterator({ StreamName }));
    expect(page.Records!.map((record) => record.PartitionKey)).toEqual([undefined, undefined]);
  });

  it("ignores a producer's key, and returns it", async () => {
    const { kinesis, iterator, read } = await onDemand("AUTO");
    const put = new PutRecordCommand({ StreamName, PartitionKey: "same", Data: bytes("a") });
    const first = await kinesis.send(put);
    expect((await kinesis.send(put)).ShardId).not.toBe(first.ShardId);
    const page = await read(await iterator({ StreamName, ShardId: first.ShardId }));
    expect(page.Records![0]!.PartitionKey).toBe("same");
  });

  it("refuses an order by sequence number", async () => {
    const { kinesis } = await onDemand("AUTO");
    await expect(
      kinesis.send(
        new PutRecordCommand({ StreamName, Data: bytes("a"), SequenceNumberForOrdering: "0" }),
      ),
    ).rejects.toThrow("SequenceNumberForOrdering is not supported");
  });

  it("is switched at any time, on streams in ON_DEMAND mode alone", async () => {
    const { kinesis } = await onDemand();
    const strategy = (arn: string) =>
      new UpdateStreamRecordDistributionStrategyCommand({
        StreamARN: arn,
        RecordDistributionStrategy: "AUTO",
      });
    const put = new PutRecordCommand({ StreamName, Data: bytes("a") });
    await expect(kinesis.send(put)).rejects.toThrow(
      "Value null at 'partitionKey' failed to satisfy constraint: Member must not be null",
    );
    await kinesis.send(strategy(StreamARN));
    await kinesis.send(put);
    await expect(kinesis.send(strategy(StreamARN.replace(/d$/, "s")))).rejects.toThrow(
      InvalidArgumentException,
    );
  });
});
