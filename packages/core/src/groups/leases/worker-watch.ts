import { ownerOf, type WorkerRow } from "../../checkpoints/lease-store.ts";

/** One incarnation whose counter stands still. */
export interface StillWorker {
  readonly worker: WorkerRow;
  /** When the first look came that showed this counter, by the observer's monotonic clock. */
  readonly since: number;
}

/** When a listing of the workers was made, by the observer's monotonic clock. */
export interface LookTimes {
  readonly asked: number;
  readonly came: number;
  /** Since when the observer itself has reached the store. Infinity = it does not now. */
  readonly steadySince: number;
}

/** How long a worker that is gone is remembered, in leases. */
const LEASES_REMEMBERED = 10;

/**
 * Watches workers' counters by this machine's own monotonic clock, pure. A worker may be evicted if
 * its counter stood still for a whole lease: from when the look that first showed the counter *came*
 * to when the last one was *requested*. The heartbeat behind the counter was sent before the first
 * look came, and no later heartbeat had taken effect when the last one was requested. So the worker
 * itself, which counts from before it sent a heartbeat, is past its deadline, whatever the delays.
 *
 * Time in which the observer did not reach the store itself does not count: others may have been
 * unable to send heartbeats too.
 */
export class WorkerWatch {
  readonly #leaseMs: number;
  readonly #seen = new Map<string, StillWorker>();
  /** Since when those that are listed no more were silent. */
  readonly #gone = new Map<string, number>();
  #asked = -Infinity;
  #steadySince = Infinity;

  constructor(options: { readonly leaseMs: number }) {
    this.#leaseMs = options.leaseMs;
  }

  observe(workers: readonly WorkerRow[], { asked, came, steadySince }: LookTimes): void {
    this.#asked = asked;
    this.#steadySince = steadySince;
    const listed = new Map(workers.map((worker) => [ownerOf(worker), worker]));
    for (const [owner, { since }] of this.#seen) {
      if (listed.has(owner)) continue;
      this.#seen.delete(owner);
      this.#gone.set(owner, since);
    }
    for (const [owner, since] of this.#gone) {
      if (came - since > LEASES_REMEMBERED * this.#leaseMs) this.#gone.delete(owner);
    }
    for (const [owner, worker] of listed) {
      if (this.#seen.get(owner)?.worker.counter === worker.counter) continue;
      this.#seen.set(owner, { worker, since: came });
    }
  }

  /** When one that is listed no more gave its last sign of life, if that was seen, by the monotonic clock. */
  silentSince(owner: string): number | undefined {
    return this.#gone.get(owner);
  }

  /** Those whose counter has stood still for a lease. */
  overdue(): readonly StillWorker[] {
    return [...this.#seen.values()].filter((still) => this.#dueAt(still) <= this.#asked);
  }

  /**
   * When the next worker is due if it stays still, by the monotonic clock; Infinity = none. One that
   * is overdue already is not meant.
   */
  nextDue(): number {
    const dues = [...this.#seen.values()].map((still) => this.#dueAt(still));
    return Math.min(...dues.filter((due) => due > this.#asked));
  }

  #dueAt({ since }: StillWorker): number {
    return Math.max(since, this.#steadySince) + this.#leaseMs;
  }
}
