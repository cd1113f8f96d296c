import { randomUUID } from "node:crypto";
import type { LeaseStore, WorkerMembership } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { CallOptions, StoreScope } from "../../checkpoints/store.ts";
import { sleep, Stopwatch, type Clock } from "../../clock.ts";
import { KcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { DuplicateWorker } from "./duplicate-worker.ts";
import type { LeaseTiming } from "./timing.ts";

export interface MembershipOptions {
  readonly workerId: string;
  readonly weight: number;
  readonly maxShards: number | undefined;
  /** Earlier incarnations of this process whose rows may still exist. */
  readonly earlier: Set<string>;
  readonly timing: LeaseTiming;
  readonly calls: StoreCalls<LeaseStore>;
  readonly scope: StoreScope;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Why a worker's heartbeats were missing, as it sees it. */
export interface Silence {
  /** Milliseconds since the last acknowledged heartbeat was sent. */
  readonly silentForMs: number;
  /** Heartbeats that have failed since: the store or the network failed. */
  readonly failedHeartbeats: number;
  /** Maximum event loop delay of these heartbeats: a handler blocked, or the process was suspended. */
  readonly eventLoopBlockedMs: number;
}

/** How a membership ended. */
export type MembershipEnd =
  /** This incarnation's row is gone: it was silent for a lease duration. */
  | "evicted"
  /** The store went back to an earlier state: other workers may own this incarnation's leases. */
  | "regressed"
  /** This worker left its shards to the others, because it cannot read them. */
  | "yielded"
  /** The signal aborted. */
  | "stopped";

/**
 * One incarnation of this worker: joining → (joined) alive → (row gone) evicted, or → (store went back) regressed, or →
 * (left) stopped. A worker that returns is a new incarnation with a new membership.
 *
 * It may start records until its own deadline: a lease duration minus a margin, counted from *before* its last
 * acknowledged heartbeat was sent; before the first one, from before the first call to join, because a failed call may
 * have taken effect. `WorkerWatch` is the other side of this protocol.
 */
export class Membership {
  readonly worker: WorkerMembership;
  readonly #options: MembershipOptions;
  /** Started before the last acknowledged heartbeat, or the first join, was sent. */
  #sinceSent: Stopwatch;
  /** Since when heartbeats have been acknowledged without a gap, by the monotonic clock. */
  #steadySince = Infinity;
  #counter = 0;
  #revision = 0;
  #alive = false;
  /** Calls that may still enter this incarnation into the store, even if their callers have timed out. */
  readonly #entering = new Set<Promise<unknown>>();
  #hasTriedToJoin = false;
  /** Heartbeats that failed since the last acknowledged one. */
  #failures = 0;
  /** Maximum event loop delay of a heartbeat since then. */
  #lateMs = 0;

  constructor(options: MembershipOptions) {
    const { workerId, weight, maxShards, clock } = options;
    this.#options = options;
    this.worker = { workerId, incarnation: randomUUID().slice(0, 13), weight, maxShards };
    this.#sinceSent = new Stopwatch(clock);
  }

  /** Milliseconds in which new records may still start; 0 or less = none may. */
  remainingMs(): number {
    const { leaseMs, marginMs } = this.#options.timing;
    return this.#alive ? leaseMs - marginMs - this.#sinceSent.elapsed() : 0;
  }

  /**
   * Since when this worker's heartbeats have reached the store, by the monotonic clock; Infinity = they do not. A
   * worker that cannot send heartbeats must not count the silence of others.
   */
  get steadySince(): number {
    const isGap = this.#sinceSent.elapsed() > this.#options.timing.longestGapMs;
    return isGap ? Infinity : this.#steadySince;
  }

  /** Why heartbeats have been missing since the last acknowledged one. */
  get silence(): Silence {
    return {
      silentForMs: Math.round(this.#sinceSent.elapsed()),
      failedHeartbeats: this.#failures,
      eventLoopBlockedMs: Math.round(this.#lateMs),
    };
  }

  /** The last known revision of the store, from the join or a heartbeat. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Joins the group. If there is a row with this worker id, waits until it is gone: after a lease duration without
   * heartbeats it is the rest of a crashed process, and is evicted. If `join` rejects, the worker may have been entered
   * all the same: call `leave`.
   * @throws KcError WORKER_ID_IN_USE if the other worker sends heartbeats; StoreError; the signal's reason
   */
  async join(signal: AbortSignal): Promise<void> {
    const { calls, clock } = this.#options;
    const duplicate = new DuplicateWorker(this.#options);
    this.#sinceSent = new Stopwatch(clock);
    for (;;) {
      const answer = await calls.retry("joinWorker", signal, (call) => this.#enter(call));
      if (answer.outcome === "joined") {
        this.#alive = true;
        this.#steadySince = clock.monotonic();
        this.#revision = answer.revision;
        return;
      }
      if (!(await this.#leaveEarlier(answer.incarnation, signal))) await duplicate.check(signal);
    }
  }

  /**
   * Sends heartbeats until the membership ends or the signal aborts. `onFailure` receives errors that a retry cannot
   * fix; heartbeats continue after them, until this worker has released its leases.
   */
  async sendHeartbeats(
    signal: AbortSignal,
    onFailure: (error: unknown) => void,
  ): Promise<MembershipEnd> {
    const { calls, scope, clock, timing, telemetry } = this.#options;
    for (let sent = this.#sinceSent; ;) {
      const waitMs = Math.max(0, timing.heartbeatMs - sent.elapsed());
      const dueAt = clock.monotonic() + waitMs;
      await sleep(clock, waitMs, signal);
      this.#lateMs = Math.max(this.#lateMs, clock.monotonic() - dueAt);
      if (signal.aborted) return "stopped";
      sent = new Stopwatch(clock);
      try {
        const answer = await calls.once("heartbeat", signal, (call) =>
          calls.store.heartbeat(scope, this.worker, call),
        );
        if (answer.outcome === "evicted") return this.#end("evicted");
        const older = answer.counter <= this.#counter || answer.revision < this.#revision;
        if (older) return this.#end("regressed");
        this.#counter = answer.counter;
        this.#revision = answer.revision;
        if (this.steadySince === Infinity) this.#steadySince = clock.monotonic();
        this.#sinceSent = sent;
        this.#failures = this.#lateMs = 0;
      } catch (error) {
        if (signal.aborted) return "stopped";
        this.#failures += 1;
        if (!KcError.is(error) || !error.retryable) onFailure(error);
        else telemetry.add("retries", 1, { operation: "heartbeat", error: error.code });
      }
    }
  }

  /**
   * Removes this incarnation's row, which releases all leases it still holds. Waits for pending calls to join first:
   * they may still enter this worker, although their callers have timed out.
   */
  async leave(signal: AbortSignal): Promise<void> {
    const { calls, scope, clock, timing } = this.#options;
    this.#end("stopped");
    if (!this.#hasTriedToJoin) return;
    const settled = new AbortController();
    void Promise.allSettled(this.#entering).then(() => settled.abort());
    if (this.#entering.size > 0) await sleep(clock, timing.callTimeoutMs, settled.signal);
    await calls.retry("leaveWorker", signal, (call) =>
      calls.store.leaveWorker(scope, this.worker, call),
    );
  }

  #enter(call: Required<CallOptions>): ReturnType<LeaseStore["joinWorker"]> {
    const { calls, scope } = this.#options;
    this.#hasTriedToJoin = true;
    const entering = calls.store.joinWorker(scope, this.worker, call);
    const forget = (): void => void this.#entering.delete(entering);
    this.#entering.add(entering);
    entering.then(forget, forget);
    return entering;
  }

  #end(end: MembershipEnd): MembershipEnd {
    this.#alive = false;
    return end;
  }

  /** Removes the row of an earlier incarnation of this process, if it is one. Returns whether it is. */
  async #leaveEarlier(incarnation: string, signal: AbortSignal): Promise<boolean> {
    const { calls, scope, earlier } = this.#options;
    // Tried once: if the row remains, it is waited for like that of another process.
    if (!earlier.delete(incarnation)) return false;
    const { workerId } = this.worker;
    await calls.retry("leaveWorker", signal, (call) =>
      calls.store.leaveWorker(scope, { workerId, incarnation }, call),
    );
    return true;
  }
}
