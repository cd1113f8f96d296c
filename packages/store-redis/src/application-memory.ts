import {
  compareCheckpoints,
  StoreRegressedError,
  type Checkpoint,
  type CheckpointWrite,
} from "@kc/core";
import type { ApplicationKeys } from "./keys.ts";
import { checkpointArguments } from "./rows.ts";

/** How long Redis keeps the epoch of a removed shard, in seconds. */
export const REMOVAL_TTL_S = 86_400;

/**
 * How long a shard's last seen state is valid: half as long as the epoch of a removed shard is kept. Later, a lower
 * state may mean that another process removed the shard.
 */
const VALID_FOR_MS = (REMOVAL_TTL_S * 1000) / 2;

/**
 * What this store has seen of one application. A server that lost writes (it was emptied, restored, or failed over to a
 * lagging replica) has a lower state. Each call passes the seen state to its script, which refuses if the server's is
 * lower.
 */
export class ApplicationMemory {
  readonly keys: ApplicationKeys;
  /** The text of the application row; "" until it was read. */
  row = "";
  /** The shards that are known to be on the application's list. */
  readonly listed: Set<string> = new Set();
  /** True once this store has searched for the Go library's checkpoints. */
  searched = false;
  /** True if a change was made, or may have been, whose revision was not raised. The next heartbeat raises it. */
  hasPendingRevision = false;
  /** The search in progress. */
  searching: Promise<void> | undefined;
  readonly #leased = new Set<string>();
  readonly #shards = new Map<string, Seen & { readonly at: Instant }>();

  constructor(keys: ApplicationKeys) {
    this.keys = keys;
  }

  /** The seen state of a shard, as arguments of a script. */
  shard(shardId: string): readonly string[] {
    let seen = this.#shards.get(shardId);
    if (seen !== undefined && millisSince(seen.at) > VALID_FOR_MS) seen = undefined;
    return [...checkpointArguments(seen?.checkpoint), seen === undefined ? "" : String(seen.epoch)];
  }

  /**
   * The arguments of a write: the seen state of the shard, the checkpoint, its fence, and `relisted`.
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

  /** The shards that have been seen. */
  get shardIds(): Iterable<string> {
    return this.#shards.keys();
  }

  /**
   * Forgets shards that had a lease's row and have none now. They were removed, perhaps by another process, so their
   * seen state is no longer valid.
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

  /** Replies may arrive out of order, so a lower state does not replace a higher one. */
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

/** A time by both clocks: the monotonic one stops while the machine sleeps, the wall clock can be set. */
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
    `Redis has lost writes that it had acknowledged: ${what}. It was emptied, restored from a copy, or ` +
      "failed over to a replica that lagged. To continue from its present state, restart the process.",
  );
}
