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
  /** The reading of a shard has ended. */
  readonly onSettled: () => void;
}

export type Grant = Pick<
  ShardAssignment,
  "presentAtStart" | "afterParent" | "hashKeyRange" | "firstNumber" | "remainingMs"
>;

/** What this incarnation holds. A lease comes in by `grant` and goes out by `end`. */
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

  /** Those whose reading has ended. */
  settled(): readonly SettledLease[] {
    return [...this.#leases.values()].filter((lease) => lease.isSettled());
  }

  get areSettled(): boolean {
    return this.settled().length === this.size;
  }

  grant(acquired: AcquiredLease, grant: Grant, why: string): void {
    const lease = new HeldLease(acquired, why, new Stopwatch(this.#options.clock));
    this.#leases.set(lease.shardId, lease);
    void this.#read(lease, grant);
  }

  /** A row that names another owner or epoch proves that the lease in hand is gone. */
  checkRows(rows: ReadonlyMap<string, LeasedShard>): void {
    for (const lease of this.#leases.values()) {
      const row = rows.get(lease.shardId);
      const { owner, epoch } = lease.fence;
      if (row?.owner === owner && row.epoch === epoch) continue;
      lease.lose(`its row names ${row?.owner ?? "nobody"} with epoch ${row?.epoch ?? 0}`);
    }
  }

  /**
   * They are not ours any more. `given-back`: the store knows it, by whichever call. `lost`: this
   * incarnation is dead, and so are its leases.
   */
  end(leases: readonly SettledLease[], by: "given-back" | "lost"): void {
    const { reporter } = this.#options;
    for (const lease of leases) {
      this.#leases.delete(lease.shardId);
      if (by === "lost") reporter.lost(lease);
      else reporter.givenBack(lease, lease.state.outcome.kind);
    }
  }

  async #read(lease: HeldLease, grant: Grant): Promise<void> {
    const { clock, read, onSettled } = this.#options;
    const { shardId, fence, checkpoint, signals } = lease;
    let outcome: ShardOutcome = { kind: "stopped" };
    try {
      outcome =
        checkpoint?.kind === "shard-end"
          ? // Another worker finished it between our look and our claim.
            { kind: "ended", children: [] }
          : await read({ shardId, fence, checkpoint, ...grant, ...signals });
    } finally {
      lease.settle(outcome, clock.monotonic());
      onSettled();
    }
  }
}
