import type { AcquiredLease } from "../../checkpoints/lease-store.ts";
import type { Checkpoint } from "../../checkpoints/position.ts";
import type { Fence } from "../../checkpoints/store.ts";
import type { Stopwatch } from "../../clock.ts";
import { LeaseLostError } from "../../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../group.ts";

/** Nobody reads the shard any more, and the store does not know it yet. */
interface Settled {
  readonly kind: "settled";
  readonly outcome: ShardOutcome;
  /** By the monotonic clock. */
  readonly at: number;
}

type LeaseState =
  | { readonly kind: "reading" }
  /** The record in hand is finished and flushed, then its reading ends. */
  | { readonly kind: "handing-over" }
  /** Another worker may hold it: its reading ends at once. */
  | { readonly kind: "lost" }
  | Settled;

export type SettledLease = HeldLease & { readonly state: Settled };

/**
 * A lease in hand, from its claim until the store knows that it was given back:
 *
 *     reading ─(handOver)─▶ handing-over
 *     reading, handing-over ─(lose)─▶ lost
 *     reading, handing-over, lost ─(settle)─▶ settled ─▶ out of `HeldLeases`
 *
 * Any other call is ignored: it comes too late. A settled lease is still in hand: nobody reads its
 * shard, neither this worker nor another.
 */
export class HeldLease implements AcquiredLease {
  readonly shardId: string;
  readonly fence: Fence;
  readonly checkpoint: Checkpoint | undefined;
  /** Runs since it was claimed. */
  readonly since: Stopwatch;
  /** Why it came here, for status and log. */
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

  /** What its reader listens to. */
  get signals(): Pick<ShardAssignment, "handOff" | "lost"> {
    return { handOff: this.#handOff.signal, lost: this.#lost.signal };
  }

  isSettled(): this is SettledLease {
    return this.#state.kind === "settled";
  }

  /** Asks its reader to hand it over. `deadlineMs` = how long the record in hand may take, in milliseconds. */
  handOver(deadlineMs: number): void {
    if (this.#state.kind !== "reading") return;
    this.#state = { kind: "handing-over" };
    this.#handOff.abort({ kind: "hand-off", deadlineMs } satisfies HandOff);
  }

  /** Another worker may hold it. `detail` = why, for the error. */
  lose(detail: string): void {
    if (this.#state.kind !== "reading" && this.#state.kind !== "handing-over") return;
    this.#state = { kind: "lost" };
    this.#lost.abort(new LeaseLostError(this.shardId, detail));
  }

  /** Its reading has ended, at this monotonic time. */
  settle(outcome: ShardOutcome, at: number): void {
    if (this.#state.kind !== "settled") this.#state = { kind: "settled", outcome, at };
  }
}
