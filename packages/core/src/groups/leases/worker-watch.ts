import { ownerOf, type WorkerRow } from "../../checkpoints/lease-store.ts";

/** A worker's row, and since when its counter has not moved. */
export interface SilentWorker {
  readonly worker: WorkerRow;
  /** When the first read that showed this counter was received, by the observer's monotonic clock. */
  readonly since: number;
}

/** When the workers were read, by the observer's monotonic clock. */
export interface ReadTimes {
  readonly requestedAt: number;
  readonly receivedAt: number;
  /** Since when the observer itself has reached the store; Infinity = it does not. */
  readonly steadySince: number;
}

/** How long a worker that is gone is remembered, in lease durations. */
const LEASES_REMEMBERED = 10;

/**
 * Watches the workers' counters by this machine's monotonic clock. Pure. A worker may be evicted if its counter did not
 * move for a whole lease: from when the read that first showed the counter was *received* to when the last one was
 * *requested*. The heartbeat behind the counter was sent before the first read was received, and no later heartbeat had
 * taken effect when the last one was requested. So the worker itself, which counts from before it sent a heartbeat, is
 * past its deadline, whatever the delays.
 *
 * Time in which the observer itself did not reach the store does not count: others may have been unable to send
 * heartbeats too.
 */
export class WorkerWatch {
  readonly #leaseMs: number;
  readonly #seen = new Map<string, SilentWorker>();
  /** Since when each worker that is no longer listed was silent. */
  readonly #gone = new Map<string, number>();
  #requestedAt = -Infinity;
  #steadySince = Infinity;

  constructor(options: { readonly leaseMs: number }) {
    this.#leaseMs = options.leaseMs;
  }

  /** Records a read of the workers. */
  observe(
    workers: readonly WorkerRow[],
    { requestedAt, receivedAt, steadySince }: ReadTimes,
  ): void {
    this.#requestedAt = requestedAt;
    this.#steadySince = steadySince;
    const listed = new Map(workers.map((worker) => [ownerOf(worker), worker]));
    for (const [owner, { since }] of this.#seen) {
      if (listed.has(owner)) continue;
      this.#seen.delete(owner);
      this.#gone.set(owner, since);
    }
    for (const [owner, since] of this.#gone) {
      if (receivedAt - since > LEASES_REMEMBERED * this.#leaseMs) this.#gone.delete(owner);
    }
    for (const [owner, worker] of listed) {
      if (this.#seen.get(owner)?.worker.counter === worker.counter) continue;
      this.#seen.set(owner, { worker, since: receivedAt });
    }
  }

  /** When a worker that is no longer listed last showed a sign of life, by the monotonic clock; undefined = unknown. */
  silentSince(owner: string): number | undefined {
    return this.#gone.get(owner);
  }

  /** The workers that have been silent for a lease duration. */
  overdue(): readonly SilentWorker[] {
    return [...this.#seen.values()].filter((worker) => this.#dueAt(worker) <= this.#requestedAt);
  }

  /** When the next worker is overdue if it stays silent, by the monotonic clock; Infinity = none. */
  nextDue(): number {
    const dues = [...this.#seen.values()].map((worker) => this.#dueAt(worker));
    return Math.min(...dues.filter((due) => due > this.#requestedAt));
  }

  #dueAt({ since }: SilentWorker): number {
    return Math.max(since, this.#steadySince) + this.#leaseMs;
  }
}
