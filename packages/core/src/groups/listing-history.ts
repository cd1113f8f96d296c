import type { Shard } from "../kinesis/shard.ts";

/** Minimum time between two listings that together prove that a shard is gone, in milliseconds. */
export const CONFIRM_MS = 5000;

/**
 * The history of complete, unfiltered listings of the stream. Pure. A shard is gone if two listings, `CONFIRM_MS`
 * apart, do not name it. One listing proves nothing: it may lag behind a reshard or miss a shard, and a shard that is
 * wrongly forgotten would be read again or not at all.
 */
export class ListingHistory {
  #named: ReadonlySet<string> = new Set();
  #requestedAt = -Infinity;
  /** When the first listing without the shard was received, by shard and the monotonic clock. */
  #absentSince: ReadonlyMap<string, number> = new Map();

  /** @param known the shards that were known when the listing was requested */
  add(
    listing: readonly Shard[],
    known: Iterable<string>,
    { requestedAt, receivedAt }: { readonly requestedAt: number; readonly receivedAt: number },
  ): void {
    const absent = new Map<string, number>();
    this.#requestedAt = requestedAt;
    this.#named = new Set(listing.map(({ shardId }) => shardId));
    for (const shardId of known) {
      if (this.#named.has(shardId)) continue;
      absent.set(shardId, this.#absentSince.get(shardId) ?? receivedAt);
    }
    this.#absentSince = absent;
  }

  /** True if the last listing names the shard and was requested after that time. */
  names(shardId: string, after: number): boolean {
    return this.#requestedAt >= after && this.#named.has(shardId);
  }

  isGone(shardId: string): boolean {
    const since = this.#absentSince.get(shardId);
    return since !== undefined && this.#requestedAt - since >= CONFIRM_MS;
  }

  /** The known shards that the last listing did not name. */
  absent(): IterableIterator<string> {
    return this.#absentSince.keys();
  }
}
