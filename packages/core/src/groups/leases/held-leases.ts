import type { AcquiredLease } from "../../checkpoints/lease-store.ts";
import { Stopwatch, type Clock } from "../../clock.ts";
import type { ShardAssignment, ShardOutcome } from "../group.ts";
import { HeldLease, type SettledLease } from "./held-lease.ts";
import type { LeasedShard } from "./leased-shard.ts";
import type { LeaseReporter } from "./lease-reporter.ts";

export interface HeldLeasesOptions {
  readonly clock: Clock;
  readonly read: (assignment: ShardAssignment) => Promise<ShardOutcome>;
  readonly reporter: LeaseReporter;
  /** Called when reading of a shard has ended. */
  readonly onSettled: () => void;
}

export type Grant = Pick<
  ShardAssignment,
  "presentAtStart" | "afterParent" | "hashKeyRange" | "firstNumber" | "remainingMs"
>;

/** The leases that this incarnation holds. A lease is added by `grant` and removed by `end`. */
export class HeldLeases {
  readonly #options: HeldLeasesOptions;
  readonly #leases = new Map<string, HeldLease>();

  constructor(options: HeldLeasesOptions) {
    this.#options = options;
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

  /** The leases whose reading has ended. */
  settled(): readonly SettledLease[] {
    return [...this.#leases.values()].filter((lease) => lease.isSettled());
  }

  /** True if reading has ended for all leases. */
  get areSettled(): boolean {
    return this.settled().length === this.size;
  }

  /** Adds an acquired lease and starts reading its shard. @param why how it was acquired, for status and log */
  grant(acquired: AcquiredLease, grant: Grant, why: string): void {
    const lease = new HeldLease(acquired, why, new Stopwatch(this.#options.clock));
    this.#leases.set(lease.shardId, lease);
    void this.#read(lease, grant);
  }

  /** Loses each lease whose row names another owner or epoch. */
  checkRows(rows: ReadonlyMap<string, LeasedShard>): void {
    for (const lease of this.#leases.values()) {
      const row = rows.get(lease.shardId);
      const { owner, epoch } = lease.fence;
      if (row?.owner === owner && row.epoch === epoch) continue;
      lease.lose(`its row names ${row?.owner ?? "no owner"} with epoch ${row?.epoch ?? 0}`);
    }
  }

  /**
   * Removes leases. `released`: the store has released them. `lost`: this incarnation was evicted, and its leases
   * with it.
   */
  end(leases: readonly SettledLease[], by: "released" | "lost"): void {
    const { reporter } = this.#options;
    for (const lease of leases) {
      this.#leases.delete(lease.shardId);
      if (by === "lost") reporter.lost(lease);
      else reporter.released(lease, lease.state.outcome.kind);
    }
  }

  async #read(lease: HeldLease, grant: Grant): Promise<void> {
    const { clock, read, onSettled } = this.#options;
    const { shardId, fence, checkpoint, signals } = lease;
    let outcome: ShardOutcome = { kind: "stopped" };
    try {
      outcome =
        checkpoint?.kind === "shard-end"
          ? // Another worker finished the shard between our snapshot and our claim.
            { kind: "ended", children: [] }
          : await read({ shardId, fence, checkpoint, ...grant, ...signals });
    } finally {
      lease.settle(outcome, clock.monotonic());
      onSettled();
    }
  }
}
