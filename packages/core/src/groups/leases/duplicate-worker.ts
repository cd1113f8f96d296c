import type { LeaseStore, WorkerRow } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { StoreScope } from "../../checkpoints/store.ts";
import { sleep, type Clock } from "../../clock.ts";
import { KcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { LeaseTiming } from "./timing.ts";
import { WorkerWatch } from "./worker-watch.ts";

export interface DuplicateWorkerOptions {
  readonly workerId: string;
  readonly timing: LeaseTiming;
  readonly calls: StoreCalls<LeaseStore>;
  readonly scope: StoreScope;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Number of heartbeats that prove a worker alive. Fewer may arrive late from a worker that has died. */
const HEARTBEATS_OF_LIVE_WORKER = 3;

/**
 * A row that already has this worker's id: another live process, or the rest of a crashed one. If its counter does not
 * move for a lease duration, it is evicted. If the counter moves, two processes use the same id.
 */
export class DuplicateWorker {
  readonly #options: DuplicateWorkerOptions;
  readonly #watch: WorkerWatch;
  /** The row at the last check. */
  #row: WorkerRow | undefined;
  /** Number of checks in which its counter had grown. */
  #heartbeats = 0;
  /** When the reply of the last check was received, by the monotonic clock. */
  #checkedAt = -Infinity;
  /** Since when checks have been made without a gap. */
  #steadySince = Infinity;

  constructor(options: DuplicateWorkerOptions) {
    this.#options = options;
    this.#watch = new WorkerWatch(options.timing);
  }

  /**
   * Checks the row once, and evicts it or waits for one heartbeat interval.
   * @throws KcError WORKER_ID_IN_USE if its counter moves; StoreError; the signal's reason
   */
  async check(signal: AbortSignal): Promise<void> {
    const { calls, scope, clock, timing, workerId } = this.#options;
    let requestedAt = 0;
    const { workers } = await calls.retry("listWorkers", signal, (call) => {
      requestedAt = clock.monotonic();
      return calls.store.listWorkers(scope, call);
    });
    const receivedAt = clock.monotonic();
    if (requestedAt - this.#checkedAt > timing.longestGapMs) this.#steadySince = receivedAt;
    this.#checkedAt = receivedAt;
    const rows = workers.filter((row) => row.workerId === workerId);
    this.#compare(rows[0]);
    this.#watch.observe(rows, { requestedAt, receivedAt, steadySince: this.#steadySince });
    if (await this.#evictIfOverdue(signal)) return;
    await sleep(clock, timing.heartbeatMs, signal);
    signal.throwIfAborted();
  }

  #compare(row: WorkerRow | undefined): void {
    const { scope, timing, telemetry, workerId } = this.#options;
    const before = this.#row;
    const isKnown = row !== undefined && row.incarnation === before?.incarnation;
    // A lower counter: the store went back, so earlier heartbeats prove nothing.
    const moved = isKnown ? row.counter - before.counter : -1;
    this.#row = row;
    this.#heartbeats = moved < 0 ? 0 : this.#heartbeats + Math.sign(moved);
    if (this.#heartbeats >= HEARTBEATS_OF_LIVE_WORKER) {
      throw new KcError(
        "WORKER_ID_IN_USE",
        `worker "${workerId}" is a live member of application "${scope.application}" already: give ` +
          `each process its own workerId, or leave the option out`,
      );
    }
    if (row === undefined || isKnown) return;
    telemetry.warn("this worker id is in use already: waiting until it leaves or is evicted", {
      workerId,
      waitMs: timing.leaseMs,
    });
  }

  async #evictIfOverdue(signal: AbortSignal): Promise<boolean> {
    const { calls, scope, telemetry, workerId } = this.#options;
    const [overdue] = this.#watch.overdue();
    if (overdue === undefined) return false;
    await calls.retry("evictWorker", signal, (call) =>
      calls.store.evictWorker(scope, overdue.worker, call),
    );
    telemetry.info("a dead worker with this worker id was evicted", {
      workerId,
    });
    this.#row = undefined;
    return true;
  }
}
