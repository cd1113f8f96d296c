import type { Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { parseSequenceNumber } from "../model/sequence-number.ts";
import { formatShardIterator } from "../model/shard-iterator.ts";
import { shardIdOf, type Shard } from "../model/shard.ts";
import { endDryRun } from "./dry-run.ts";
import { rateExceeded, shardNotFound } from "./shard-errors.ts";

export function getShardIterator(
  model: Model,
  input: Input<"GetShardIterator">,
): Output<"GetShardIterator"> {
  const { streams } = model;
  const now = streams.now();
  const stream = streams.find(input);
  const shard = stream.status === "CREATING" ? undefined : stream.shard(input.ShardId!, now);
  if (shard === undefined) throw shardNotFound(streams, stream.name, input.ShardId!);
  const position = positionOf(model, stream.name, shard, input, now);
  endDryRun(input);
  if (!shard.quotas.admitIterator(model.clock.monotonic())) {
    throw rateExceeded(streams, stream.name, shard.id);
  }
  return {
    ShardIterator: formatShardIterator({
      streamName: stream.name,
      incarnation: stream.incarnation,
      shardId: shard.id,
      position,
      emptyPages: model.emptyPagesWhileBehind,
      createdAt: now,
    }),
  };
}

function positionOf(
  model: Model,
  streamName: string,
  shard: Shard,
  input: Input<"GetShardIterator">,
  now: number,
): number {
  const { ShardIteratorType: type, StartingSequenceNumber: number, Timestamp: timestamp } = input;
  const bySequenceNumber = type === "AT_SEQUENCE_NUMBER" || type === "AFTER_SEQUENCE_NUMBER";
  if (bySequenceNumber !== (number !== undefined)) {
    throw invalid(
      "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and " +
        "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. " +
        `Request specified ${type} and ` +
        (number === undefined ? "no" : "also a") +
        " StartingSequenceNumber.",
    );
  }
  switch (type) {
    case "AT_SEQUENCE_NUMBER":
      return positionAt(model, streamName, shard, number!, 0);
    case "AFTER_SEQUENCE_NUMBER":
      return positionAt(model, streamName, shard, number!, 1);
    case "LATEST":
      return shard.next;
    case "AT_TIMESTAMP":
      if (timestamp === undefined) {
        throw invalid(
          "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. " +
            "Current request has no timestamp parameter.",
        );
      }
      if (timestamp.getTime() > now) {
        throw invalid(
          "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. " +
            `timestampInMillis: ${timestamp.getTime()}, currentTimestampInMillis: ${now}`,
        );
      }
      return shard.positionAt(timestamp.getTime());
    default:
      return shard.first;
  }
}

/** The position of a sequence number, or of the one after it (`offset` 1). */
function positionAt(
  model: Model,
  streamName: string,
  shard: Shard,
  text: string,
  offset: 0 | 1,
): number {
  const account = model.streams.account;
  const used =
    `StartingSequenceNumber ${text} used in GetShardIterator on shard ${shard.id} ` +
    `in stream ${streamName} under account ${account} is invalid`;
  const number = parseSequenceNumber(text);
  if (number === undefined) throw invalid(`${used}.`);
  const own = shard.identity;
  if (number.shardIndex !== own.shardIndex) {
    throw invalid(
      `Invalid StartingSequenceNumber. It encodes ${shardIdOf(number.shardIndex)}, ` +
        `while it was used in a call to a shard with ${shard.id}`,
    );
  }
  if (number.shardCreatedAt !== own.shardCreatedAt || number.incarnation !== own.incarnation) {
    throw invalid(`${used} because it did not come from this stream.`);
  }
  const trimmed = number.ordinal > 0n && number.ordinal < BigInt(shard.first);
  if (trimmed && model.trimmedSequenceNumbers === "reject") throw invalid(`${used}.`);
  const position = number.ordinal + BigInt(offset);
  if (position < BigInt(shard.first)) return shard.first;
  return position > BigInt(shard.next) ? shard.next : Number(position);
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
