import type { AcquiredLease } from "../../checkpoints/lease-store.ts";
import type { Checkpoint } from "../../checkpoints/position.ts";
import type { Fence } from "../../checkpoints/store.ts";
import type { Stopwatch } from "../../clock.ts";
import { LeaseLostError } from "../../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../group.ts";

/** This worker no longer reads the shard, but the lease is not released in the store yet. */
interface Settled {
  readonly kind: "settled";
  readonly outcome: ShardOutcome;
  /** By the monotonic clock. */
  readonly at: number;
}

type LeaseState =
  | { readonly kind: "reading" }
  /** Records in flight are being finished and flushed, then reading ends. */
  | { readonly kind: "handing-over" }
  /** Another worker may own the shard: reading ends immediately. */
  | { readonly kind: "lost" }
  | Settled;

export type SettledLease = HeldLease & { readonly state: Settled };

/**
 * A lease held by this worker, from its claim until its release is stored:
 *
 *     reading ─(handOver)─▶ handing-over
 *     reading, handing-over ─(lose)─▶ lost
 *     reading, handing-over, lost ─(settle)─▶ settled ─▶ removed from `HeldLeases`
 *
 * Calls in any other state are ignored, as they are too late. While a lease is settled it is still held, and no worker
 * reads its shard.
 */
export class HeldLease implements AcquiredLease {
  readonly shardId: string;
  readonly fence: Fence;
  readonly checkpoint: Checkpoint | undefined;
  /** Started when the lease was claimed. */
  readonly since: Stopwatch;
  /** How the lease was acquired, for status and log. */
  readonly why: string;
  readonly #handOff = new AbortController();
  readonly #lost = new AbortController();
  #state: LeaseState = { kind: "reading" };

  constructor({ shardId, fence, checkpoint }: AcquiredLease, why: string, since: Stopwatch) {
    this.shardId = shardId;
    this.fence = fence;
    this.checkpoint = checkpoint;
    this.why = why;
    this.since = since;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** The signals for the reader of the shard. */
  get signals(): Pick<ShardAssignment, "handOff" | "lost"> {
    return { handOff: this.#handOff.signal, lost: this.#lost.signal };
  }

  isSettled(): this is SettledLease {
    return this.#state.kind === "settled";
  }

  /** Asks the reader to hand the shard over. @param deadlineMs how long records in flight may take, in milliseconds */
  handOver(deadlineMs: number): void {
    if (this.#state.kind !== "reading") return;
    this.#state = { kind: "handing-over" };
    this.#handOff.abort({ kind: "hand-off", deadlineMs } satisfies HandOff);
  }

  /** Stops the reader immediately, because another worker may own the shard. @param detail why, for the error */
  lose(detail: string): void {
    if (this.#state.kind !== "reading" && this.#state.kind !== "handing-over") return;
    this.#state = { kind: "lost" };
    this.#lost.abort(new LeaseLostError(this.shardId, detail));
  }

  /** Reading has ended. @param at by the monotonic clock */
  settle(outcome: ShardOutcome, at: number): void {
    if (this.#state.kind !== "settled") this.#state = { kind: "settled", outcome, at };
  }
}
