import { setMaxListeners } from "node:events";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { setTimer, type Clock } from "../clock.ts";
import { describeError, KcError, type LeaseLostError } from "../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** Timeout of the last flush after a deadline, in milliseconds. */
export const LAST_FLUSH_MS = 1000;

export interface ShardLifeOptions {
  readonly assignment: ShardAssignment;
  readonly progress: ShardProgress;
  /** Aborts when the consumer stops. */
  readonly stop: AbortSignal;
  /** Aborts at the deadline of the stop. */
  readonly deadline: AbortSignal;
  /** Called immediately when the shard fails; this stops the scan. */
  readonly onFailure: (error: KcError) => void;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * The state machine of how long a shard may be read:
 *
 *     open ─(consumer stops | hand-off)─▶ draining ─(deadline)─▶ forced
 *     open, draining, forced ─(fence refused | lease lost)─▶ lost
 *
 * - open: records start.
 * - draining: `stop` has aborted. Records in flight are finished, and finished work is flushed.
 * - forced: `abandon` has aborted, and with it the handlers' signals. Finished work is flushed once more.
 * - lost: both have aborted. Another worker may own the shard, so nothing is written.
 *
 * `forced` and `lost` settle `abandoned` with their outcome, without waiting for running handlers.
 */
export class ShardLife {
  readonly #options: ShardLifeOptions;
  /** Aborts when no further record may start. */
  readonly #stop = new AbortController();
  /** Aborts when the shard is abandoned, even if handlers are still running. */
  readonly #abandon = new AbortController();
  /** Resolves with the outcome of an abandoned shard (`forced` or `lost`); otherwise never settles. */
  readonly abandoned: Promise<ShardOutcome>;
  readonly #unlisten: (() => void)[] = [];
  #resolveAbandoned: (outcome: ShardOutcome) => void = () => {};
  #waitingFor: "handler" | "flush" = "handler";
  #failure: KcError | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: ShardLifeOptions) {
    this.#options = options;
    this.abandoned = new Promise((resolve) => (this.#resolveAbandoned = resolve));
    // Every record in flight may listen to both; Node warns of a leak above ten listeners.
    setMaxListeners(0, this.stop, this.abandon);
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  get abandon(): AbortSignal {
    return this.#abandon.signal;
  }

  /** What a forced shard was waiting for when its deadline passed. */
  get waitingFor(): "handler" | "flush" {
    return this.#waitingFor;
  }

  /** The error of the shard's work; undefined = it has not failed. */
  get failure(): KcError | undefined {
    return this.#failure;
  }

  /** Reports a failure of the work immediately, so that the scan stops. Ignored after a failure or after `abandon`. */
  fail(thrown: unknown): void {
    const { assignment, onFailure } = this.#options;
    const { shardId } = assignment;
    if (this.abandon.aborted || this.#failure !== undefined) return;
    this.#failure = KcError.is(thrown)
      ? thrown
      : new KcError("KINESIS_FAILED", `${shardId}: ${describeError(thrown)}`, {
          shardId,
          cause: thrown,
        });
    onFailure(this.#failure);
  }

  /** Listens to everything that may end the shard, until `close`. */
  open(): void {
    const { stop, deadline, assignment, progress } = this.#options;
    const { handOff, lost } = assignment;
    this.#on(stop, () => this.#drain(stop.reason));
    this.#on(deadline, () => this.#overtime(deadline.reason));
    this.#on(progress.lost, () => this.#lose(progress.lost.reason as LeaseLostError));
    this.#on(lost, () => this.#lose(lost?.reason as LeaseLostError));
    this.#on(handOff, () => this.#handOff(handOff?.reason as HandOff));
  }

  /** Removes listeners and timers when the work has ended or was abandoned. Idempotent. */
  close(): void {
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#cancelTimer?.();
  }

  #on(signal: AbortSignal | undefined, listener: () => void): void {
    if (signal?.aborted) return listener();
    signal?.addEventListener("abort", listener, { once: true });
    this.#unlisten.push(() => signal?.removeEventListener("abort", listener));
  }

  #drain(reason: unknown): void {
    if (this.stop.aborted) return;
    this.#stop.abort(reason);
    const { telemetry, assignment } = this.#options;
    telemetry.emit({ kind: "shard-draining", shardId: assignment.shardId });
  }

  #handOff(reason: HandOff): void {
    const { clock, progress } = this.#options;
    this.#drain(reason);
    const onOvertime = (): void => {
      if (!progress.awaited) return this.#force(reason);
      // A store write is pending, and must be answered before the lease can be released. What still runs
      // after its answer, such as the hook of a closed shard, is abandoned.
      this.#cancelTimer = setTimer(clock, onOvertime, LAST_FLUSH_MS);
    };
    this.#cancelTimer = setTimer(clock, onOvertime, reason.deadlineMs);
  }

  /** The deadline of the consumer's stop has passed. */
  #overtime(reason: unknown): void {
    this.#force(reason);
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.setTimer(() => this.#settleForced(), LAST_FLUSH_MS);
  }

  #force(reason: unknown): void {
    if (this.abandon.aborted) return;
    const { progress } = this.#options;
    this.#waitingFor = progress.awaited ? "flush" : "handler";
    this.#abandon.abort(reason);
    const settle = (): void => this.#settleForced();
    void progress.flush().then(settle, settle);
  }

  #settleForced(): void {
    this.#resolveAbandoned({ kind: "forced", checkpoint: this.#options.progress.acknowledged });
  }

  #lose(error: LeaseLostError): void {
    const { assignment, progress, onFailure } = this.#options;
    // Without a lease, a refused fence means that another deployment holds a lease: that fails the scan.
    if (assignment.fence === undefined) onFailure(error);
    progress.close(error);
    this.#stop.abort(error);
    this.#abandon.abort(error);
    this.#resolveAbandoned({ kind: "lost", detail: error.message });
  }
}
