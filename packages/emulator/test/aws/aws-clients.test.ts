import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { inputShapes } from "../../src/api/input-shapes.ts";
import { startEmulator } from "../../src/index.ts";
import { python } from "./python.ts";

/** The operations that the client's version does not have yet. */
const UNKNOWN: Readonly<Record<string, readonly string[]>> = {
  boto3: [],
  cli: ["UpdateStreamRecordDistributionStrategy"],
};

const script = fileURLToPath(new URL("every_operation.py", import.meta.url));

it.for(["boto3", "cli"])(
  "every operation that is served works by AWS's own client: %s",
  async (client, context) => {
    const run = await python(context);
    await using emulator = await startEmulator();
    const output = await run([script, client, emulator.url], {
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
    });
    const replies = JSON.parse(output) as Record<string, unknown>;
    expect([...Object.keys(replies), ...UNKNOWN[client]!].toSorted()).toEqual(
      Object.keys(inputShapes).toSorted(),
    );
    expect(replies).toMatchObject({
      DescribeLimits: { ShardLimit: 20_000 },
      GetRecords: {
        Records: [{ Data: expect.any(String), PartitionKey: "k" }, { PartitionKey: "k" }],
        MillisBehindLatest: 0,
      },
      ListTagsForStream: { Tags: [{ Key: "team", Value: "a" }], HasMoreTags: false },
      DescribeStreamSummary: {
        StreamDescriptionSummary: { KeyId: "alias/aws/kinesis", MaxRecordSizeInKiB: 2048 },
      },
      DisableEnhancedMonitoring: { DesiredShardLevelMetrics: { length: 6 } },
      ListShards: { Shards: { length: 4 } },
      UpdateStreamWarmThroughput: { WarmThroughput: { TargetMiBps: 5, CurrentMiBps: 4 } },
      ListStreams: { StreamNames: [`by-${client}`] },
    });
  },
);
