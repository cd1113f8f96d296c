import type { Empty, Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import type { Shard } from "../model/shard.ts";
import type { Stream } from "../model/stream.ts";
import type { StreamReference, Streams } from "../model/streams.ts";

export function splitShard({ streams }: Model, input: Input<"SplitShard">): Empty {
  const stream = provisioned(streams, input, "SplitShard");
  const shard = openShard(streams, stream, input.ShardToSplit!);
  const hashKey = BigInt(input.NewStartingHashKey!);
  const { start, end } = shard.range;
  if (hashKey <= start + 1n || hashKey >= end) {
    throw invalid(
      `NewStartingHashKey ${hashKey} used in SplitShard() on shard ${shard.id} in stream ` +
        `${stream.name} under account ${streams.account} is not both greater than one plus the ` +
        `shard's StartingHashKey ${start} and less than the shard's EndingHashKey ${end}.`,
    );
  }
  streams.checkShardLimit(1);
  streams.transition(stream, "UPDATING", (now) => stream.split(shard, hashKey, now));
  return {};
}

export function mergeShards({ streams }: Model, input: Input<"MergeShards">): Empty {
  const stream = provisioned(streams, input, "MergeShards");
  const shard = openShard(streams, stream, input.ShardToMerge!);
  const adjacent = openShard(streams, stream, input.AdjacentShardToMerge!);
  if (
    shard.range.end + 1n !== adjacent.range.start &&
    adjacent.range.end + 1n !== shard.range.start
  ) {
    throw invalid(
      `Shards ${shard.id} and ${adjacent.id} in stream ${stream.name} under account ` +
        `${streams.account} are not an adjacent pair of shards eligible for merging`,
    );
  }
  streams.transition(stream, "UPDATING", (now) => stream.merge(shard, adjacent, now));
  return {};
}

export function updateShardCount(
  { streams, callQuotas }: Model,
  input: Input<"UpdateShardCount">,
): Output<"UpdateShardCount"> {
  const stream = provisioned(streams, input, "UpdateShardCount");
  const current = stream.open.count;
  const target = input.TargetShardCount!;
  const [direction, limit] = target > current ? ["up over", "double"] : ["down below", "half"];
  if (target > current * 2 || target < current / 2) {
    throw invalid(
      `UpdateShardCount cannot scale ${direction} ${limit} your current open shard count. ` +
        `Current open shard count: ${current} Target shard count: ${target}`,
    );
  }
  streams.checkShardLimit(target - current);
  callQuotas.admitToday("UpdateShardCount", stream);
  streams.transition(stream, "UPDATING", (now) => stream.scale(target, now));
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    CurrentShardCount: current,
    TargetShardCount: target,
  };
}

/** @throws ValidationException for a stream in ON_DEMAND mode, which the service itself scales */
function provisioned(streams: Streams, input: StreamReference, operation: string): Stream {
  const stream = streams.findActive(input);
  if (stream.settings.mode === "PROVISIONED") return stream;
  const message =
    `Request is invalid. Reason: ${operation} is not supported for stream ${stream.name} under ` +
    `account ${streams.account}, which is in ON_DEMAND mode.`;
  throw serviceError("ValidationException", message);
}

function openShard(streams: Streams, stream: Stream, id: string): Shard {
  const shard = stream.shard(id, streams.now());
  const where = `in stream ${stream.name} under account ${streams.account}`;
  if (shard === undefined) {
    throw serviceError("ResourceNotFoundException", `Could not find shard ${id} ${where}.`);
  }
  if (shard.closedAt !== undefined) {
    throw invalid(
      `Shard ${id} ${where} has already been merged or split, and thus is not eligible for ` +
        "merging or splitting.",
    );
  }
  return shard;
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
