import type { View } from "./group-view.ts";
import { needsListing } from "./leased-shard.ts";
import { LISTER_PATIENCE_MS } from "./timing.ts";

/** How many workers come before this one. The first one acts for all. */
export function rankOf({ workers }: View, workerId: string): number {
  return workers.filter((row) => row.workerId < workerId).length;
}

/**
 * Whose turn it is to list the stream's shards, pure. One worker lists for all: the first by its id.
 * It may be unable to. So while the rows lack something, the next ones list too, one after another.
 */
export class ListingTurn {
  /** Since when the rows have lacked what a listing would bring, by the monotonic clock. */
  #lackingSince: number | undefined;

  /** `hurried` = there is reason to expect something new; undefined = it is not this worker's turn. */
  at(
    view: View,
    workerId: string,
    isAsked: boolean,
    now: number,
  ): "regular" | "hurried" | undefined {
    if (view.workers.length === 0) return undefined;
    const isLacking = needsListing(view.shards);
    this.#lackingSince = isLacking ? (this.#lackingSince ?? now) : undefined;
    const rank = rankOf(view, workerId);
    const lackingMs = now - (this.#lackingSince ?? now);
    const isDeputy = isLacking && lackingMs >= rank * LISTER_PATIENCE_MS;
    if (rank > 0 && !isDeputy && !isAsked) return undefined;
    return isLacking || isAsked ? "hurried" : "regular";
  }
}
