import { serviceError } from "../errors.ts";
import type { Streams } from "../model/streams.ts";

export function shardNotFound(streams: Streams, streamName: string, shardId: string): Error {
  const message = `Shard ${shardId} in stream ${streamName} under account ${streams.account} does not exist`;
  return serviceError("ResourceNotFoundException", message);
}

export function rateExceeded(streams: Streams, streamName: string, shardId: string): Error {
  const message = `Rate exceeded for shard ${shardId} in stream ${streamName} under account ${streams.account}.`;
  return serviceError("ProvisionedThroughputExceededException", message);
}
