import type { View } from "./group-view.ts";
import { needsListing } from "./leased-shard.ts";
import { LISTER_PATIENCE_MS } from "./timing.ts";

/** The rank of this worker by id, from 0. The worker of rank 0 acts for all. */
export function rankOf({ workers }: View, workerId: string): number {
  return workers.filter((row) => row.workerId < workerId).length;
}

/**
 * Decides whether this worker lists the stream's shards. Pure. The worker of rank 0 lists for all. In case it cannot,
 * the others list too while the rows lack something, each one `LISTER_PATIENCE_MS` after the one before it.
 */
export class ListingTurn {
  /** Since when the rows have lacked something that a listing would add, by the monotonic clock. */
  #lackingSince: number | undefined;

  /**
   * Returns `hurried` if changes are expected, and undefined if this worker is not to list the shards.
   * @param isRequired whether this worker itself needs a listing
   */
  at(
    view: View,
    workerId: string,
    isRequired: boolean,
    now: number,
  ): "regular" | "hurried" | undefined {
    if (view.workers.length === 0) return undefined;
    const isLacking = needsListing(view.shards);
    this.#lackingSince = isLacking ? (this.#lackingSince ?? now) : undefined;
    const rank = rankOf(view, workerId);
    const lackingMs = now - (this.#lackingSince ?? now);
    const isDeputy = isLacking && lackingMs >= rank * LISTER_PATIENCE_MS;
    if (rank > 0 && !isDeputy && !isRequired) return undefined;
    return isLacking || isRequired ? "hurried" : "regular";
  }
}
