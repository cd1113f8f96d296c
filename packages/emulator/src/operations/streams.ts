import type { Shard as ShardDescription, StreamStatus } from "@aws-sdk/client-kinesis";
import type { Empty, Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import { DEFAULT_MAX_RECORD_SIZE, type Model } from "../model/model.ts";
import type { Shard } from "../model/shard.ts";
import type { Stream } from "../model/stream.ts";
import type { Streams } from "../model/streams.ts";
import { formatToken, parseToken } from "../model/token.ts";

const MAX_PER_PAGE = 100;

export function createStream({ streams }: Model, input: Input<"CreateStream">): Empty {
  const mode = input.StreamModeDetails?.StreamMode ?? "PROVISIONED";
  if (mode !== "PROVISIONED") {
    const message = `StreamMode ${mode} is not emulated: only PROVISIONED is.`;
    throw serviceError("InvalidArgumentException", message);
  }
  if (input.ShardCount === undefined) {
    const message = "ShardCount must be provided for a stream in PROVISIONED mode.";
    throw serviceError("InvalidArgumentException", message);
  }
  const maxRecordSize =
    input.MaxRecordSizeInKiB === undefined
      ? DEFAULT_MAX_RECORD_SIZE
      : input.MaxRecordSizeInKiB * 1024;
  streams.create(input.StreamName!, input.ShardCount, maxRecordSize);
  return {};
}

export function deleteStream({ streams }: Model, input: Input<"DeleteStream">): Empty {
  streams.delete(streams.findActive(input, "UPDATING"));
  return {};
}

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
  { streams }: Model,
  input: Input<"DescribeStreamSummary">,
): Output<"DescribeStreamSummary"> {
  const stream = streams.find(input);
  return {
    StreamDescriptionSummary: {
      ...describe(stream),
      OpenShardCount: stream.status === "CREATING" ? 0 : stream.openShards.length,
      ConsumerCount: 0,
      MaxRecordSizeInKiB: stream.maxRecordSize / 1024,
    },
  };
}

export function listStreams(
  { streams }: Model,
  input: Input<"ListStreams">,
): Output<"ListStreams"> {
  let after = input.ExclusiveStartStreamName ?? "";
  if (input.NextToken !== undefined) {
    const [name] = parseToken(input.NextToken, 1) ?? [];
    if (typeof name !== "string") {
      throw serviceError("InvalidArgumentException", "Invalid NextToken.");
    }
    after = name;
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

export function increaseStreamRetentionPeriod(
  { streams }: Model,
  input: Input<"IncreaseStreamRetentionPeriod">,
): Empty {
  return changeRetention(streams, input, 1);
}

export function decreaseStreamRetentionPeriod(
  { streams }: Model,
  input: Input<"DecreaseStreamRetentionPeriod">,
): Empty {
  return changeRetention(streams, input, -1);
}

/** A shard as a listing shows it that knows of closings until `seenAt`. */
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

/** The shards that listings show now, which is what there was at `seenAt`. */
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
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    StreamStatus: stream.status satisfies StreamStatus,
    StreamModeDetails: { StreamMode: "PROVISIONED" as const },
    RetentionPeriodHours: stream.retentionHours,
    StreamCreationTimestamp: new Date(stream.createdAt),
    EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
    EncryptionType: "NONE" as const,
  };
}

function changeRetention(
  streams: Streams,
  input: Input<"IncreaseStreamRetentionPeriod">,
  direction: 1 | -1,
): Empty {
  const stream = streams.findActive(input);
  const hours = input.RetentionPeriodHours!;
  const current = stream.retentionHours;
  if (hours < 24 || (hours - current) * direction < 0) {
    throw serviceError(
      "InvalidArgumentException",
      hours < 24
        ? `Minimum allowed retention period is 24 hours. Requested retention period (${hours} ` +
            "hours) is too short."
        : `Requested retention period (${hours} hours) for stream ${stream.name} can not be ` +
            `${direction > 0 ? "shorter" : "longer"} than existing retention period ` +
            `(${current} hours). Use ${direction > 0 ? "Decrease" : "Increase"}RetentionPeriod API.`,
    );
  }
  stream.setRetention(hours, streams.now());
  return {};
}
