import type { AcquiredLease } from "../../checkpoints/lease-store.ts";
import { Stopwatch, type Clock } from "../../clock.ts";
import { LeaseLostError } from "../../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../group.ts";

/** A lease in hand, from its grant until the store knows that it was given back. */
export interface HeldLease extends AcquiredLease {
  /** Runs since it was granted. */
  readonly since: Stopwatch;
  /** Why it came here, for status and log. */
  readonly why: string;
  /** Set once it is to be handed over, or is lost. */
  revoked: boolean;
  /** How its reading ended; undefined while it is read. */
  outcome: ShardOutcome | undefined;
  /** When that was, by the monotonic clock. */
  settledAt: number;
  readonly handOff: (handOff: HandOff) => void;
  /** Also during a hand-off: whoever reads it is told at once. */
  readonly lose: (detail: string) => void;
}

export type Grant = Pick<
  ShardAssignment,
  "presentAtStart" | "afterParent" | "hashKeyRange" | "remainingMs"
>;

/**
 * What this incarnation holds: granted → reading → (outcome) settled → (given back) forgotten. A
 * lease that is settled is still in hand: nobody else reads it, and neither do we.
 */
export class HeldLeases {
  readonly #leases = new Map<string, HeldLease>();
  readonly #clock: Clock;
  readonly #read: (assignment: ShardAssignment) => Promise<ShardOutcome>;
  readonly #onSettled: () => void;

  constructor(
    clock: Clock,
    read: (assignment: ShardAssignment) => Promise<ShardOutcome>,
    onSettled: () => void,
  ) {
    this.#clock = clock;
    this.#read = read;
    this.#onSettled = onSettled;
  }

  get size(): number {
    return this.#leases.size;
  }

  get(shardId: string): HeldLease | undefined {
    return this.#leases.get(shardId);
  }

  has(shardId: string): boolean {
    return this.#leases.has(shardId);
  }

  [Symbol.iterator](): IterableIterator<HeldLease> {
    return this.#leases.values();
  }

  /** Those whose reading has ended. */
  settled(): readonly HeldLease[] {
    return [...this.#leases.values()].filter(({ outcome }) => outcome !== undefined);
  }

  grant(lease: AcquiredLease, grant: Grant, why: string): void {
    const { shardId, fence, checkpoint } = lease;
    const handOff = new AbortController();
    const lost = new AbortController();
    const held: HeldLease = {
      ...lease,
      since: new Stopwatch(this.#clock),
      why,
      revoked: false,
      outcome: undefined,
      settledAt: Infinity,
      handOff: (reason) => {
        held.revoked = true;
        handOff.abort(reason);
      },
      lose: (detail) => {
        held.revoked = true;
        lost.abort(new LeaseLostError(shardId, detail));
      },
    };
    this.#leases.set(shardId, held);
    // Its end stands in the store: somebody finished it between our look and our claim.
    const reading: Promise<ShardOutcome> =
      checkpoint?.kind === "shard-end"
        ? Promise.resolve({ kind: "ended", children: [] })
        : this.#read({
            shardId,
            fence,
            checkpoint,
            ...grant,
            handOff: handOff.signal,
            lost: lost.signal,
          });
    void reading.then((outcome) => {
      held.outcome = outcome;
      held.settledAt = this.#clock.monotonic();
      this.#onSettled();
    });
  }

  /** The store knows that these are not ours any more. */
  forget(leases: readonly HeldLease[]): void {
    for (const { shardId } of leases) this.#leases.delete(shardId);
  }
}
