import { ownerOf, type WorkerIdentity, type WorkerRow } from "../../checkpoints/lease-store.ts";

/** One incarnation as it was seen to stand still. */
export interface StillWorker {
  readonly worker: WorkerRow;
  /** Since when, by the observer's monotonic clock. */
  readonly since: number;
}

const LEASES_REMEMBERED = 10;

/**
 * Watches workers' counters by this machine's own monotonic clock, pure. A worker whose counter has
 * stood still for a whole lease may be evicted; how its own clock goes does not matter.
 *
 * Only what was looked at counts: after a gap in the observations (the store was away, or this
 * process stood still) every worker gets its whole time anew, since nobody could beat or nobody saw.
 */
export class WorkerWatch {
  readonly #leaseMs: number;
  readonly #longestGapMs: number;
  readonly #seen = new Map<string, StillWorker>();
  /** Since when those that are listed no more were silent; kept for some leases' time. */
  readonly #gone = new Map<string, number>();
  #observedAt = -Infinity;

  constructor(options: { readonly leaseMs: number; readonly longestGapMs: number }) {
    this.#leaseMs = options.leaseMs;
    this.#longestGapMs = options.longestGapMs;
  }

  /** @param asOf when the listing was asked for: what it tells is at least as young */
  observe(workers: readonly WorkerRow[], asOf: number): void {
    if (asOf - this.#observedAt > this.#longestGapMs) this.#seen.clear();
    this.#observedAt = asOf;
    const listed = new Map(workers.map((worker) => [ownerOf(worker), worker]));
    for (const [owner, { since }] of this.#seen) {
      if (listed.has(owner)) continue;
      this.#seen.delete(owner);
      this.#gone.set(owner, since);
    }
    for (const [owner, since] of this.#gone) {
      if (asOf - since > LEASES_REMEMBERED * this.#leaseMs) this.#gone.delete(owner);
    }
    for (const [owner, worker] of listed) {
      if (this.#seen.get(owner)?.worker.counter === worker.counter) continue;
      this.#seen.set(owner, { worker, since: asOf });
    }
  }

  /** When one that is listed no more gave its last sign of life, if that was seen, by the monotonic clock. */
  silentSince(owner: string): number | undefined {
    return this.#gone.get(owner);
  }

  /** Gives a worker its whole time anew. */
  forget(worker: WorkerIdentity): void {
    this.#seen.delete(ownerOf(worker));
  }

  /** Gives every worker its whole time anew. */
  forgetAll(): void {
    this.#seen.clear();
  }

  /** Those whose counter has stood still for a lease's duration. */
  overdue(): readonly StillWorker[] {
    return [...this.#seen.values()].filter(
      ({ since }) => this.#observedAt - since >= this.#leaseMs,
    );
  }

  /** When to look again for somebody who stands still, by the monotonic clock; Infinity = nobody. */
  nextDue(): number {
    const stillSince = [...this.#seen.values()]
      .map(({ since }) => since)
      .filter((since) => since < this.#observedAt);
    return Math.min(...stillSince) + this.#leaseMs;
  }
}
