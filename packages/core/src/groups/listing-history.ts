import type { Shard } from "../kinesis/shard.ts";

/** Two listings that agree that a shard is gone lie at least so far apart, in milliseconds. */
export const CONFIRM_MS = 5000;

/**
 * What complete, unfiltered listings of the stream named, one after another. Pure. A shard is
 * gone if two of them, some time apart, do not name it. One proves nothing: it may lag behind a
 * reshard, or miss a shard, and what is forgotten is read again or not at all.
 */
export class ListingHistory {
  #named: ReadonlySet<string> = new Set();
  #asked = -Infinity;
  /** When the first listing came that did not name a shard, by the monotonic clock. */
  #absentSince: ReadonlyMap<string, number> = new Map();

  /** @param known the shards that were known when the listing was requested */
  add(
    listing: readonly Shard[],
    known: Iterable<string>,
    { asked, came }: { readonly asked: number; readonly came: number },
  ): void {
    const absent = new Map<string, number>();
    this.#asked = asked;
    this.#named = new Set(listing.map(({ shardId }) => shardId));
    for (const shardId of known) {
      if (!this.#named.has(shardId)) absent.set(shardId, this.#absentSince.get(shardId) ?? came);
    }
    this.#absentSince = absent;
  }

  /** Does the last listing name the shard, and was it requested after that moment? */
  names(shardId: string, after: number): boolean {
    return this.#asked >= after && this.#named.has(shardId);
  }

  isGone(shardId: string): boolean {
    const since = this.#absentSince.get(shardId);
    return since !== undefined && this.#asked - since >= CONFIRM_MS;
  }

  /** Those that the last listing did not name. */
  absent(): IterableIterator<string> {
    return this.#absentSince.keys();
  }
}
