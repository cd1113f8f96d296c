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
 * The life of one incarnation in the group. A round comes with each heartbeat, and sooner when the
 * store hints at a change or a shard's reading has ended. Rounds follow one another, so a look sees
 * whatever was claimed and given back before it. A round that fails leaves its work to the next one,
 * which reads the rows again: what took effect although its reply was lost is found there.
 *
 *     member ─(the scan stops | it cannot read)─▶ leaving ─(all is given back)─▶ over
 *     member, leaving ─(evicted | store regressed | the scan is over)─▶ over
 *
 * - member: rounds.
 * - leaving: nothing is claimed. It sends heartbeats on, and gives back what is finished.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #timer: WakeTimer;
  readonly #held: HeldLeases;
  readonly #round: Round;
  /** Aborts with this incarnation's end. */
  readonly #over = new AbortController();
  /** Why it is leaving; undefined = it is a member. */
  #leavingBy: "stopped" | "yielded" | undefined;
  #end: MembershipEnd | undefined;
  /** Rounds that failed since the last one that did not. */
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

  /** Is it not known yet what this worker is to read, or does it hold none of it? */
  get lacksShards(): boolean {
    const { share } = this.#round;
    return share === undefined || (share > 0 && this.#held.size === 0);
  }

  get leases(): readonly HeldLease[] {
    return [...this.#held];
  }

  /**
   * Resolves when the signal has aborted and nothing is read any more, or when the membership has
   * ended by itself and all was given up. What is still held then goes with the membership.
   */
  async run(signal: AbortSignal): Promise<MembershipEnd> {
    const { host, membership } = this.#options;
    const over = this.#over.signal;
    const onStop = (): void => this.#timer.wakeIn(0);
    const onScanOver = (): void => this.#finish("stopped");
    signal.addEventListener("abort", onStop, { once: true });
    host.over.addEventListener("abort", onScanOver, { once: true });
    if (host.over.aborted) onScanOver();
    const beating = membership
      .beat(over, (error) => this.#fail(error))
      .then((end) => this.#finish(end));
    void this.#watchForHints();
    try {
      while (!over.aborted) {
        if (signal.aborted) this.#leavingBy ??= "stopped";
        await (this.#leavingBy ? this.#leave(this.#leavingBy) : this.#act(signal));
        await this.#timer.wait(this.#untilNextMs());
      }
      await beating;
      if (this.#end === "evicted" || this.#end === "regressed") await this.#giveUp();
      return this.#end!;
    } finally {
      this.#round.stop();
      signal.removeEventListener("abort", onStop);
      host.over.removeEventListener("abort", onScanOver);
    }
  }

  /** The membership's row is gone by `leave`, and with it every lease that was still held. */
  left(): void {
    this.#held.end(this.#held.settled(), "given-back");
  }

  /** With the next heartbeat, or when a silent worker is due. */
  #untilNextMs(): number {
    const { host, timing } = this.#options;
    // Workers that were started together do not look together for ever.
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

  /** Stops the scan. What is in hand is finished and flushed while heartbeats go on. */
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

  /** Leaves its shards to the others, who can read them. */
  #yield(): void {
    this.#leavingBy = "yielded";
    for (const lease of this.#held) lease.handOver(this.#options.host.drainTimeoutMs);
    this.#timer.wakeIn(0);
  }

  async #leave(by: "stopped" | "yielded"): Promise<void> {
    try {
      await this.#round.giveBackAll();
    } catch (error) {
      this.#onRoundFailed(error);
    }
    // What could not be given back goes with this worker's row.
    if (this.#held.areSettled) this.#finish(by);
  }

  /** Another worker may hold whatever is in hand: nothing more is started or written. */
  async #giveUp(): Promise<void> {
    const detail =
      this.#end === "regressed"
        ? "the store went back to an earlier state, in which another may hold it"
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
