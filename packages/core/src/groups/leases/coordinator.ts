import { KcError, StoreRegressedError } from "../../errors.ts";
import { WakeTimer } from "../wake-timer.ts";
import type { View } from "./group-view.ts";
import type { HeldLease } from "./held-lease.ts";
import { HeldLeases } from "./held-leases.ts";
import { LeaseReporter } from "./lease-reporter.ts";
import type { MembershipEnd } from "./membership.ts";
import { Round, type RoundOptions } from "./round.ts";

export type CoordinatorOptions = Pick<
  RoundOptions,
  "host" | "calls" | "membership" | "timing" | "yieldAfterMs"
>;

/**
 * The life of one incarnation in the group. A round runs with each heartbeat, and sooner when the store hints at a
 * change or reading of a shard has ended. Rounds run one after another, so each sees what was claimed and released
 * before it. If a round fails, the next one reads the rows again, and finds there what took effect although its reply
 * was lost.
 *
 *     member ─(the scan stops | it cannot read)─▶ leaving ─(all leases released)─▶ over
 *     member, leaving ─(evicted | store regressed | the scan has ended)─▶ over
 *
 * - member: rounds run.
 * - leaving: nothing is claimed. Heartbeats continue, and leases are released as their shards settle.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #timer: WakeTimer;
  readonly #held: HeldLeases;
  readonly #round: Round;
  /** Aborts when this incarnation ends. */
  readonly #over = new AbortController();
  /** Why it is leaving; undefined = it is a member. */
  #leavingBy: "stopped" | "yielded" | undefined;
  #end: MembershipEnd | undefined;
  /** Number of consecutive failed rounds. */
  #failures = 0;
  #hasFailed = false;

  constructor(options: CoordinatorOptions) {
    const { host } = options;
    const reporter = new LeaseReporter(host.telemetry);
    this.#options = options;
    this.#timer = new WakeTimer(host.clock);
    this.#held = new HeldLeases({
      clock: host.clock,
      read: (assignment) => host.read(assignment),
      reporter,
      onSettled: () => this.#timer.wakeIn(0),
    });
    this.#round = new Round({
      ...options,
      held: this.#held,
      reporter,
      over: this.#over.signal,
      wakeIn: (ms) => this.#timer.wakeIn(ms),
      onFailure: (error) => this.#fail(error),
    });
  }

  get view(): View {
    return this.#round.view;
  }

  /** True if this worker's share is not known yet, or if it has a share but holds no lease. */
  get lacksShards(): boolean {
    const { share } = this.#round;
    return share === undefined || (share > 0 && this.#held.size === 0);
  }

  get leases(): readonly HeldLease[] {
    return [...this.#held];
  }

  /**
   * Resolves when the signal has aborted and no shard is read any more, or when the membership has ended and all
   * shards are abandoned. Leases that are still held then end with the membership.
   */
  async run(signal: AbortSignal): Promise<MembershipEnd> {
    const { host, membership } = this.#options;
    const over = this.#over.signal;
    const onStop = (): void => this.#timer.wakeIn(0);
    const onScanOver = (): void => this.#finish("stopped");
    signal.addEventListener("abort", onStop, { once: true });
    host.over.addEventListener("abort", onScanOver, { once: true });
    if (host.over.aborted) onScanOver();
    const heartbeats = membership
      .sendHeartbeats(over, (error) => this.#fail(error))
      .then((end) => this.#finish(end));
    void this.#watchForHints();
    try {
      while (!over.aborted) {
        if (signal.aborted) this.#leavingBy ??= "stopped";
        await (this.#leavingBy ? this.#leave(this.#leavingBy) : this.#act(signal));
        await this.#timer.wait(this.#untilNextMs());
      }
      await heartbeats;
      if (this.#end === "evicted" || this.#end === "regressed") await this.#loseAll();
      return this.#end!;
    } finally {
      this.#round.stop();
      signal.removeEventListener("abort", onStop);
      host.over.removeEventListener("abort", onScanOver);
    }
  }

  /** Called when `leave` has removed the worker's row, and with it every lease that was still held. */
  left(): void {
    this.#held.end(this.#held.settled(), "released");
  }

  /** Milliseconds until the next round: one heartbeat, or less if the eviction of a silent worker is due before. */
  #untilNextMs(): number {
    const { host, timing } = this.#options;
    // Jitter, so that workers that were started together do not poll together.
    const untilNextMs = timing.heartbeatMs * (0.9 + 0.2 * host.random());
    if (this.#failures > 0) return untilNextMs;
    return Math.min(untilNextMs, Math.max(1, this.#round.nextDue - host.clock.monotonic()));
  }

  async #watchForHints(): Promise<void> {
    const { host, calls } = this.#options;
    const onHint = (): void => this.#timer.wakeIn(this.#round.hint());
    try {
      await calls.store.watch?.(host.scope, onHint, this.#over.signal);
    } catch (error) {
      host.telemetry.warn("the store's push does not work: changes are seen by heartbeats alone", {
        error,
      });
    }
  }

  #finish(end: MembershipEnd): void {
    this.#end ??= end;
    this.#over.abort(new Error("this worker's membership is over"));
    this.#timer.wakeIn(0);
  }

  /** Stops the scan. Records in flight are finished and flushed while heartbeats continue. */
  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.host.fail(error);
  }

  async #act(stop: AbortSignal): Promise<void> {
    try {
      const found = await this.#round.run(stop);
      if (found === "evicted") return this.#finish("evicted");
      if (found === "cannot-read") this.#yield();
      this.#failures = 0;
    } catch (error) {
      this.#onRoundFailed(error);
    }
  }

  /** Hands all shards over to other workers, which can read them. */
  #yield(): void {
    this.#leavingBy = "yielded";
    for (const lease of this.#held) lease.handOver(this.#options.host.drainTimeoutMs);
    this.#timer.wakeIn(0);
  }

  async #leave(by: "stopped" | "yielded"): Promise<void> {
    try {
      await this.#round.releaseSettled();
    } catch (error) {
      this.#onRoundFailed(error);
    }
    // Leases that could not be released end with this worker's row.
    if (this.#held.areSettled) this.#finish(by);
  }

  /** Other workers may own the held shards: nothing more is started or written. */
  async #loseAll(): Promise<void> {
    const detail =
      this.#end === "regressed"
        ? "the store went back to an earlier state, in which another worker may own the shard"
        : "this worker was silent for a lease's duration, and was evicted";
    for (const lease of this.#held) lease.lose(detail);
    while (!this.#held.areSettled) await this.#timer.wait(Infinity);
    this.#held.end(this.#held.settled(), "lost");
  }

  #onRoundFailed(error: unknown): void {
    const { telemetry } = this.#options.host;
    if (this.#over.signal.aborted) return;
    this.#round.expectChange();
    this.#failures += 1;
    if (error instanceof StoreRegressedError && this.view.revision > 0) {
      telemetry.error("all leases are given up", { error });
      telemetry.add("errors", 1, { error: error.code });
      return this.#finish("regressed");
    }
    if (!KcError.is(error) || !error.retryable) return this.#fail(error);
    telemetry.add("retries", 1, { operation: "leases", error: error.code });
  }
}
