import type { LeaseStore, WorkerRow } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { StoreScope } from "../../checkpoints/store.ts";
import { sleep, type Clock } from "../../clock.ts";
import { KcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { LeaseTiming } from "./timing.ts";
import { WorkerWatch } from "./worker-watch.ts";

export interface NamesakeOptions {
  readonly workerId: string;
  readonly timing: LeaseTiming;
  readonly calls: StoreCalls<LeaseStore>;
  readonly scope: StoreScope;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Heartbeats of a worker that died may still arrive, but not as many. */
const BEATS_OF_THE_LIVING = 3;

/**
 * The worker that has this worker's id already: another process that lives, or what a crash left. If
 * its counter stands still for a lease, it is evicted. If it moves, two processes have one id.
 */
export class Namesake {
  readonly #options: NamesakeOptions;
  readonly #watch: WorkerWatch;
  /** As it was seen last. */
  #row: WorkerRow | undefined;
  /** In how many looks its counter had grown. */
  #beats = 0;
  /** When the last look came, by the monotonic clock. */
  #lookedAt = -Infinity;
  /** Since when looks have followed one another without a gap. */
  #steadySince = Infinity;

  constructor(options: NamesakeOptions) {
    this.#options = options;
    this.#watch = new WorkerWatch(options.timing);
  }

  /**
   * Looks at it once, and evicts it or waits for a heartbeat's time.
   * @throws KcError WORKER_ID_IN_USE if its counter moves; StoreError; the signal's reason
   */
  async look(signal: AbortSignal): Promise<void> {
    const { calls, scope, clock, timing, workerId } = this.#options;
    let asked = 0;
    const { workers } = await calls.retry("listWorkers", signal, (call) => {
      asked = clock.monotonic();
      return calls.store.listWorkers(scope, call);
    });
    const came = clock.monotonic();
    if (asked - this.#lookedAt > timing.longestGapMs) this.#steadySince = came;
    this.#lookedAt = came;
    const rows = workers.filter((row) => row.workerId === workerId);
    this.#see(rows[0]);
    this.#watch.observe(rows, { asked, came, steadySince: this.#steadySince });
    if (await this.#evictIfOverdue(signal)) return;
    await sleep(clock, timing.heartbeatMs, signal);
    signal.throwIfAborted();
  }

  #see(row: WorkerRow | undefined): void {
    const { scope, timing, telemetry, workerId } = this.#options;
    const before = this.#row;
    const isKnown = row !== undefined && row.incarnation === before?.incarnation;
    // Fewer than before: the store went back, and what came before proves nothing any more.
    const moved = isKnown ? row.counter - before.counter : -1;
    this.#row = row;
    this.#beats = moved < 0 ? 0 : this.#beats + Math.sign(moved);
    if (this.#beats >= BEATS_OF_THE_LIVING) {
      throw new KcError(
        "WORKER_ID_IN_USE",
        `worker "${workerId}" is a live member of application "${scope.application}" already: give ` +
          `each process a workerId of its own, or leave the option out`,
      );
    }
    if (row === undefined || isKnown) return;
    telemetry.warn("this worker id is there already: waiting until it leaves or proves dead", {
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
    telemetry.info("what was left of an earlier process of this worker id is evicted", {
      workerId,
    });
    this.#row = undefined;
    return true;
  }
}
