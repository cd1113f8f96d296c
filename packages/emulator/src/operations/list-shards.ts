import type { ShardFilter } from "@aws-sdk/client-kinesis";
import type { Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import type { Shard } from "../model/shard.ts";
import type { Stream } from "../model/stream.ts";
import { formatToken, parseToken } from "../model/token.ts";
import { describeShard, listedShards } from "./describe-stream.ts";

const MAX_RESULTS = 1000;
/** How long a NextToken is valid, in milliseconds. */
const TOKEN_LIFETIME_MS = 300_000;
/** Members that a token contains already: the service refuses them with a token. */
const BESIDE_NO_TOKEN = [
  "StreamName",
  "StreamARN",
  "StreamCreationTimestamp",
  "ExclusiveStartShardId",
] as const;

/** Stream, incarnation, last shard, creation time, and the filter's type, shard and timestamp. */
const TOKEN = [
  "text",
  "count",
  "text",
  "count",
  "text or null",
  "text or null",
  "number or null",
] as const;

/** Where a listing starts or continues. */
interface Listing {
  readonly stream: Stream;
  readonly after: string;
  readonly filter: ShardFilter | undefined;
}

export function listShards(model: Model, input: Input<"ListShards">): Output<"ListShards"> {
  const now = model.streams.now();
  const { stream, after, filter } =
    input.NextToken === undefined ? start(model, input) : resume(model, input, now);
  const { shards: listed, seenAt } = listedShards(model, stream);
  const shards = listed.filter(
    (shard) => shard.id > after && matches(shard, seenAt, filter, stream.horizon(now)),
  );
  const page = shards.slice(0, Math.min(input.MaxResults ?? MAX_RESULTS, MAX_RESULTS));
  const more = page.length < shards.length;
  return {
    Shards: page.map((shard) => describeShard(shard, seenAt)),
    ...(more ? { NextToken: nextToken(stream, page.at(-1)!.id, filter, now) } : {}),
  };
}

function start({ streams }: Model, input: Input<"ListShards">): Listing {
  if (input.StreamName === undefined && input.StreamARN === undefined) {
    throw invalid("Either NextToken or StreamName should be provided.");
  }
  const stream = streams.findActive(input, "UPDATING");
  const createdAt = input.StreamCreationTimestamp?.getTime();
  if (createdAt !== undefined && Math.floor(createdAt / 1000) !== seconds(stream.createdAt)) {
    const message = `Stream ${stream.name} under account ${streams.account} not found.`;
    throw serviceError("ResourceNotFoundException", message);
  }
  const filter = input.ShardFilter;
  if (filter?.Type === "AFTER_SHARD_ID" && filter.ShardId === undefined) {
    throw invalid("ShardFilter of type AFTER_SHARD_ID needs a ShardId.");
  }
  if (filter?.Type?.endsWith("_TIMESTAMP") && filter.Timestamp === undefined) {
    throw invalid(`ShardFilter of type ${filter.Type} needs a Timestamp.`);
  }
  return { stream, after: input.ExclusiveStartShardId ?? "", filter };
}

function resume({ streams }: Model, input: Input<"ListShards">, now: number): Listing {
  const named = BESIDE_NO_TOKEN.find((member) => input[member] !== undefined);
  if (named !== undefined) throw invalid(`NextToken and ${named} cannot be provided together.`);
  const fields = parseToken(input.NextToken!, TOKEN);
  if (fields === undefined) throw invalid("Invalid NextToken.");
  const [name, incarnation, after, createdAt, type, shardId, timestamp] = fields;
  if (now - createdAt > TOKEN_LIFETIME_MS) {
    throw serviceError("ExpiredNextTokenException", "The NextToken has expired.");
  }
  const stream = streams.find({ StreamName: name });
  if (stream.incarnation !== incarnation) throw invalid("Invalid NextToken.");
  const filter = {
    Type: type as ShardFilter["Type"],
    ...(shardId === null ? {} : { ShardId: shardId }),
    ...(timestamp === null ? {} : { Timestamp: new Date(timestamp) }),
  };
  return { stream, after, filter: type === null ? undefined : filter };
}

function nextToken(
  stream: Stream,
  after: string,
  filter: ShardFilter | undefined,
  now: number,
): string {
  return formatToken([
    stream.name,
    stream.incarnation,
    after,
    now,
    filter?.Type ?? null,
    filter?.ShardId ?? null,
    filter?.Timestamp?.getTime() ?? null,
  ]);
}

function matches(
  shard: Shard,
  seenAt: number,
  filter: ShardFilter | undefined,
  horizon: number,
): boolean {
  const closedAt = shard.closedAtAsOf(seenAt) ?? Infinity;
  // A time before the horizon counts as the horizon.
  const at = Math.max(filter?.Timestamp?.getTime() ?? 0, horizon);
  switch (filter?.Type) {
    case undefined:
    case "FROM_TRIM_HORIZON":
      return true;
    case "AFTER_SHARD_ID":
      return shard.id > filter.ShardId!;
    case "AT_LATEST":
      return closedAt === Infinity;
    case "AT_TRIM_HORIZON":
    case "AT_TIMESTAMP":
      return shard.createdAt <= at && closedAt >= at;
    case "FROM_TIMESTAMP":
      return closedAt >= at;
  }
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
