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
 * A last page that names no children does not prove the shard's end. Listings must confirm it: one
 * that says that the shard is closed, or two, some time apart, that do not name it any more.
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
    telemetry.warn("no next iterator, but the shard is open: reading on", { shardId });
    return false;
  }
  return true;
}

/**
 * The number that a shard without records begins with. Other readers of the store may use it;
 * the end is stored without it too. @throws the reason of `stop`
 */
export async function firstNumber(options: ShardEndOptions): Promise<string | undefined> {
  const { shardId, stream, telemetry, stop } = options;
  try {
    return await stream.firstNumberOf(shardId, stop);
  } catch (error) {
    stop.throwIfAborted();
    telemetry.warn("the shards cannot be listed: a shard's end is stored without its number", {
      shardId,
      error,
    });
    return undefined;
  }
}
