import type { Shard as ShardDescription, StreamStatus } from "@aws-sdk/client-kinesis";
import type { Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import type { Shard } from "../model/shard.ts";
import type { Stream } from "../model/stream.ts";
import { formatToken, parseToken } from "../model/token.ts";
import { metricNames } from "./monitoring.ts";

const MAX_PER_PAGE = 100;

export function describeStream(
  model: Model,
  input: Input<"DescribeStream">,
): Output<"DescribeStream"> {
  const stream = model.streams.find(input);
  const listed = listedShards(model, stream);
  const shards = listed.shards.filter((shard) => shard.id > (input.ExclusiveStartShardId ?? ""));
  const page = shards.slice(0, Math.min(input.Limit ?? MAX_PER_PAGE, MAX_PER_PAGE));
  return {
    StreamDescription: {
      ...describe(stream),
      Shards: page.map((shard) => describeShard(shard, listed.seenAt)),
      HasMoreShards: page.length < shards.length,
    },
  };
}

export function describeStreamSummary(
  { streams, account }: Model,
  input: Input<"DescribeStreamSummary">,
): Output<"DescribeStreamSummary"> {
  const stream = streams.find(input);
  const { mode, distribution, maxRecordSize, warmThroughput } = stream.settings;
  const onDemand = mode === "ON_DEMAND";
  const current = stream.open.count;
  return {
    StreamDescriptionSummary: {
      ...describe(stream),
      OpenShardCount: stream.status === "CREATING" ? 0 : current,
      ConsumerCount: 0,
      ChannelCount: 0,
      MaxRecordSizeInKiB: maxRecordSize / 1024,
      ...(onDemand ? { RecordDistributionStrategy: distribution } : {}),
      ...(onDemand && account.hasCommitment(streams.now())
        ? { WarmThroughput: { TargetMiBps: warmThroughput ?? current, CurrentMiBps: current } }
        : {}),
    },
  };
}

export function listStreams(
  { streams }: Model,
  input: Input<"ListStreams">,
): Output<"ListStreams"> {
  let after = input.ExclusiveStartStreamName ?? "";
  if (input.NextToken !== undefined) {
    const fields = parseToken(input.NextToken, ["text"]);
    if (fields === undefined) {
      throw serviceError("InvalidArgumentException", "Invalid NextToken.");
    }
    [after] = fields;
  }
  const rest = streams.list().filter((stream) => stream.name > after);
  const page = rest.slice(0, Math.min(input.Limit ?? MAX_PER_PAGE, MAX_PER_PAGE));
  const more = page.length < rest.length;
  return {
    StreamNames: page.map((stream) => stream.name),
    StreamSummaries: page.map((stream) => {
      const { StreamName, StreamARN, StreamStatus, StreamModeDetails, StreamCreationTimestamp } =
        describe(stream);
      return { StreamName, StreamARN, StreamStatus, StreamModeDetails, StreamCreationTimestamp };
    }),
    HasMoreStreams: more,
    ...(more ? { NextToken: formatToken([page.at(-1)!.name]) } : {}),
  };
}

/** Describes a shard for a listing that lags: closings after `seenAt` are not shown. */
export function describeShard(shard: Shard, seenAt: number): ShardDescription {
  const [parent, adjacent] = shard.parents;
  const ending = shard.closedAtAsOf(seenAt) === undefined ? undefined : shard.endingSequenceNumber;
  return {
    ShardId: shard.id,
    ...(parent ? { ParentShardId: parent } : {}),
    ...(adjacent ? { AdjacentParentShardId: adjacent } : {}),
    HashKeyRange: {
      StartingHashKey: shard.range.start.toString(),
      EndingHashKey: shard.range.end.toString(),
    },
    SequenceNumberRange: {
      StartingSequenceNumber: shard.startingSequenceNumber,
      ...(ending ? { EndingSequenceNumber: ending } : {}),
    },
  };
}

/** The shards that listings show now: those that existed at `seenAt`. */
export function listedShards(
  { streams, listingLagMs }: Model,
  stream: Stream,
): { readonly shards: readonly Shard[]; readonly seenAt: number } {
  const now = streams.now();
  const seenAt = now - listingLagMs;
  if (stream.status === "CREATING") return { shards: [], seenAt };
  const shards = stream
    .shards(now)
    .filter(({ parents, createdAt }) => parents.length === 0 || createdAt <= seenAt);
  return { shards, seenAt };
}

function describe(stream: Stream) {
  const { mode, keyId, shardLevelMetrics } = stream.settings;
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    StreamStatus: stream.status satisfies StreamStatus,
    StreamModeDetails: { StreamMode: mode },
    RetentionPeriodHours: stream.retention.hours,
    StreamCreationTimestamp: new Date(stream.createdAt),
    EnhancedMonitoring: [{ ShardLevelMetrics: metricNames(shardLevelMetrics) }],
    ...(keyId === undefined
      ? { EncryptionType: "NONE" as const }
      : { EncryptionType: "KMS" as const, KeyId: keyId }),
  };
}
