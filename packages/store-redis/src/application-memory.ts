import {
  compareCheckpoints,
  StoreRegressedError,
  type Checkpoint,
  type CheckpointWrite,
} from "@kc/core";
import type { ApplicationKeys } from "./keys.ts";
import { checkpointArguments } from "./rows.ts";

/** A removed shard's epoch is remembered so long in Redis, in seconds. */
export const REMOVAL_TTL_S = 86_400;

/**
 * What was seen of a shard counts for half as long as a removed shard's epoch is remembered: by then
 * "less than what was seen" may be a shard that another process removed.
 */
const VALID_FOR_MS = (REMOVAL_TTL_S * 1000) / 2;

/**
 * What this store has seen of one application. A server that lost writes (emptied, restored, failed
 * over to a replica that lagged) answers with less than this: the scripts get it with each call, and
 * refuse.
 */
export class ApplicationMemory {
  readonly keys: ApplicationKeys;
  /** The application row's text, "" until it was seen. */
  row = "";
  /** The shards that are known to be in the application's list. */
  readonly listed: Set<string> = new Set();
  /** Has this store looked for Go's checkpoints? */
  searched = false;
  /** A change stands, or may stand, whose revision was not raised: the next heartbeat does. */
  hasPendingRevision = false;
  /** The search that is under way. */
  searching: Promise<void> | undefined;
  readonly #leased = new Set<string>();
  readonly #shards = new Map<string, Seen & { readonly at: Instant }>();

  constructor(keys: ApplicationKeys) {
    this.keys = keys;
  }

  /** A shard's place as a script takes it. */
  shard(shardId: string): readonly string[] {
    let seen = this.#shards.get(shardId);
    if (seen !== undefined && millisSince(seen.at) > VALID_FOR_MS) seen = undefined;
    return [...checkpointArguments(seen?.checkpoint), seen === undefined ? "" : String(seen.epoch)];
  }

  /**
   * A write as a script takes it: the shard's place, the checkpoint, its fence, and `relisted`.
   * @param relisted the removal after which the caller has listed the shard again
   */
  write({ shardId, checkpoint, fence }: CheckpointWrite, relisted = ""): readonly string[] {
    return [
      ...this.shard(shardId),
      ...checkpointArguments(checkpoint),
      ...(fence === undefined ? ["", ""] : [String(fence.epoch), fence.owner]),
      relisted,
    ];
  }

  /** All shards that have been seen. */
  get shardIds(): Iterable<string> {
    return this.#shards.keys();
  }

  /**
   * Shards that had a lease's row and have none now were removed, perhaps by another process: what
   * was seen of them is no promise any more.
   */
  forgetRemoved(leased: ReadonlyMap<string, unknown>): void {
    for (const shardId of this.#leased) {
      if (leased.has(shardId)) continue;
      this.forget(shardId);
    }
    for (const shardId of leased.keys()) this.#leased.add(shardId);
  }

  forget(shardId: string): void {
    this.#leased.delete(shardId);
    this.#shards.delete(shardId);
    this.listed.delete(shardId);
  }

  /** Replies may come out of order: an older one does not take anything back. */
  learn(shardId: string, { checkpoint, epoch }: Seen): void {
    const seen = this.#shards.get(shardId);
    const at = instant();
    if (
      seen === undefined ||
      millisSince(seen.at) > VALID_FOR_MS ||
      isLater({ checkpoint, epoch }, seen)
    ) {
      this.#shards.set(shardId, { checkpoint, epoch, at });
    } else {
      this.#shards.set(shardId, { ...seen, at });
    }
  }
}

/** By both clocks: the one stands still while the machine sleeps, the other can be set. */
interface Instant {
  readonly wall: number;
  readonly monotonic: number;
}

const instant = (): Instant => ({ wall: Date.now(), monotonic: performance.now() });
const millisSince = ({ wall, monotonic }: Instant): number =>
  Math.max(Date.now() - wall, performance.now() - monotonic);

type Seen = { readonly checkpoint: Checkpoint | undefined; readonly epoch: number };

function isLater(a: Seen, b: Seen): boolean {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch;
  if (a.checkpoint === undefined) return false;
  return b.checkpoint === undefined || compareCheckpoints(a.checkpoint, b.checkpoint) > 0;
}

export function regressed(what: string): StoreRegressedError {
  return new StoreRegressedError(
    `Redis has less than it had acknowledged: ${what}. It was emptied, restored from a copy, or ` +
      "failed over to a replica that lagged. To continue from its present state, start the " +
      "process again.",
  );
}
