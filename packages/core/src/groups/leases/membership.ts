import { randomUUID } from "node:crypto";
import type { LeaseStore, WorkerMembership } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { CallOptions, StoreScope } from "../../checkpoints/store.ts";
import { sleep, Stopwatch, type Clock } from "../../clock.ts";
import { KcError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { Namesake } from "./namesake.ts";
import type { LeaseTiming } from "./timing.ts";

export interface MembershipOptions {
  readonly workerId: string;
  readonly weight: number;
  readonly maxShards: number | undefined;
  /** This process's earlier incarnations that may not have left. */
  readonly earlier: Set<string>;
  readonly timing: LeaseTiming;
  readonly calls: StoreCalls<LeaseStore>;
  readonly scope: StoreScope;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What a worker knows of its own silence. */
export interface Silence {
  /** Since its last acknowledged heartbeat was sent. */
  readonly silentForMs: number;
  /** Heartbeats that failed since: the store, or the way to it. */
  readonly failedHeartbeats: number;
  /** How late the event loop was for one of them, at most: a handler that blocks, a stopped process. */
  readonly eventLoopBlockedMs: number;
}

/** How a membership came to its end. */
export type MembershipEnd =
  /** This incarnation's row is gone: it was silent for a lease's duration. */
  | "evicted"
  /** The store is older than what it had answered: leases of this incarnation may be another's. */
  | "regressed"
  /** This worker gave its shards to the others: it cannot read them. */
  | "yielded"
  /** The signal aborted. */
  | "stopped";

/**
 * One incarnation of this worker: joining → (entered) alive → (row gone) evicted, or → (store older)
 * regressed, or → (left) stopped. Whoever comes back is a new incarnation, a new membership.
 *
 * It may start records until its own deadline: a lease's duration less a margin, counted from
 * *before* its last acknowledged heartbeat was sent; until the first one, from before it asked to
 * join, since a call that failed may have entered it. See `WorkerWatch` for the other side.
 */
export class Membership {
  readonly worker: WorkerMembership;
  readonly #options: MembershipOptions;
  /** Runs since before the last acknowledged heartbeat was sent, or the first join. */
  #sinceSent: Stopwatch;
  /** Since when heartbeats have followed one another without a gap, by the monotonic clock. */
  #steadySince = Infinity;
  #counter = 0;
  #revision = 0;
  #alive = false;
  /** Calls that may still enter this incarnation, whether their callers wait or gave up. */
  readonly #entering = new Set<Promise<unknown>>();
  #asked = false;
  /** Heartbeats that failed since the last one that was acknowledged. */
  #failures = 0;
  /** How late the event loop was for a heartbeat since then, at most. */
  #lateMs = 0;

  constructor(options: MembershipOptions) {
    const { workerId, weight, maxShards, clock } = options;
    this.#options = options;
    this.worker = { workerId, incarnation: randomUUID().slice(0, 13), weight, maxShards };
    this.#sinceSent = new Stopwatch(clock);
  }

  /** Milliseconds in which new records may still start; 0 or less = none. */
  remainingMs(): number {
    const { leaseMs, marginMs } = this.#options.timing;
    return this.#alive ? leaseMs - marginMs - this.#sinceSent.elapsed() : 0;
  }

  /**
   * Since when this worker has reached the store with its heartbeats, by the monotonic clock;
   * Infinity = it does not now. Who cannot beat must not count others' silence.
   */
  get steadySince(): number {
    const isGap = this.#sinceSent.elapsed() > this.#options.timing.longestGapMs;
    return isGap ? Infinity : this.#steadySince;
  }

  /** What there was since the last heartbeat that the store acknowledged: why it may be evicted. */
  get silence(): Silence {
    return {
      silentForMs: Math.round(this.#sinceSent.elapsed()),
      failedHeartbeats: this.#failures,
      eventLoopBlockedMs: Math.round(this.#lateMs),
    };
  }

  /** The last revision of the store, from the join or a heartbeat. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Enters this worker. An id that lives already is waited for: if its counter stands still for a
   * lease, it is what a crash left behind, and is evicted. If it rejects, the worker may be entered
   * all the same: `leave` takes it back.
   * @throws KcError WORKER_ID_IN_USE if its counter moves; StoreError; the signal's reason
   */
  async join(signal: AbortSignal): Promise<void> {
    const { calls, clock } = this.#options;
    const namesake = new Namesake(this.#options);
    this.#sinceSent = new Stopwatch(clock);
    for (;;) {
      const answer = await calls.retry("joinWorker", signal, (call) => this.#enter(call));
      if (answer.outcome === "joined") {
        this.#alive = true;
        this.#steadySince = clock.monotonic();
        this.#revision = answer.revision;
        return;
      }
      if (!(await this.#leaveEarlier(answer.incarnation, signal))) await namesake.look(signal);
    }
  }

  /**
   * Sends heartbeats until the membership ends or the signal aborts. `onFailure` gets an error that a
   * retry does not fix. Heartbeats continue, until what this worker holds is given back.
   */
  async beat(signal: AbortSignal, onFailure: (error: unknown) => void): Promise<MembershipEnd> {
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
   * Removes this incarnation's row, which frees whatever it still held. A call to join that is still
   * under way comes first: it may enter this worker although its caller gave up.
   */
  async leave(signal: AbortSignal): Promise<void> {
    const { calls, scope, clock, timing } = this.#options;
    this.#end("stopped");
    if (!this.#asked) return;
    const settled = new AbortController();
    void Promise.allSettled(this.#entering).then(() => settled.abort());
    if (this.#entering.size > 0) await sleep(clock, timing.callTimeoutMs, settled.signal);
    await calls.retry("leaveWorker", signal, (call) =>
      calls.store.leaveWorker(scope, this.worker, call),
    );
  }

  #enter(call: Required<CallOptions>): ReturnType<LeaseStore["joinWorker"]> {
    const { calls, scope } = this.#options;
    this.#asked = true;
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

  /** True = it was this very process, which is not there any more and need not be waited for. */
  async #leaveEarlier(incarnation: string, signal: AbortSignal): Promise<boolean> {
    const { calls, scope, earlier } = this.#options;
    // Asked once: one that stays is waited for like anybody else.
    if (!earlier.delete(incarnation)) return false;
    const { workerId } = this.worker;
    await calls.retry("leaveWorker", signal, (call) =>
      calls.store.leaveWorker(scope, { workerId, incarnation }, call),
    );
    return true;
  }
}
