import { sleep, type Clock } from "../clock.ts";
import { CONFIRM_MS } from "../groups/listing-history.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

export interface ShardEndOptions {
  readonly shardId: string;
  readonly stream: StreamClient;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly stop: AbortSignal;
}

/**
 * Whether listings confirm the end of the shard. A last page without children does not prove it: either one listing
 * must say that the shard is closed, or two listings `CONFIRM_MS` apart must not name it.
 * @throws the reason of `stop`
 */
export async function isConfirmed(options: ShardEndOptions): Promise<boolean> {
  const { shardId, stream, clock, telemetry, stop } = options;
  for (let missed = 0; missed < 2; missed += 1) {
    if (missed > 0) await sleep(clock, CONFIRM_MS, stop);
    stop.throwIfAborted();
    const listing = await stream.listShards(stop);
    const listed = listing.find((shard) => shard.shardId === shardId);
    if (listed === undefined) continue;
    if (listed.closed) return true;
    telemetry.warn("no next iterator, but the shard is open: reading continues", { shardId });
    return false;
  }
  return true;
}

/**
 * The starting sequence number of a shard without records, for other readers of the store. Without it the end is
 * stored all the same. @throws the reason of `stop`
 */
export async function firstNumber(options: ShardEndOptions): Promise<string | undefined> {
  const { shardId, stream, telemetry, stop } = options;
  try {
    return await stream.startingSequenceNumber(shardId, stop);
  } catch (error) {
    stop.throwIfAborted();
    telemetry.warn(
      "the shards cannot be listed: a shard's end is stored without a sequence number",
      {
        shardId,
        error,
      },
    );
    return undefined;
  }
}
