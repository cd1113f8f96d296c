import { setMaxListeners } from "node:events";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { setTimer, type Clock } from "../clock.ts";
import { describeError, KcError, type LeaseLostError } from "../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** How long the last flush may take once a deadline has passed, in milliseconds. */
export const LAST_FLUSH_MS = 1000;

export interface ShardLifeOptions {
  readonly assignment: ShardAssignment;
  readonly progress: ShardProgress;
  /** Aborts when the consumer stops. */
  readonly stop: AbortSignal;
  /** Aborts when the time that a stop has is over. */
  readonly deadline: AbortSignal;
  /** Called at once when the shard fails the whole scan. */
  readonly onFailure: (error: KcError) => void;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * How long a shard may be read:
 *
 *     open ─(consumer stops | hand-off)─▶ draining ─(deadline)─▶ forced
 *     open, draining, forced ─(fence refused | lease lost)─▶ lost
 *
 * - open: records start.
 * - draining: `stop` has aborted. Records in hand are finished, and what is finished is flushed.
 * - forced: `abandon` has aborted, and with it the handlers. What is finished is flushed once more.
 * - lost: both have aborted. Another worker may own the shard, so nothing is written.
 *
 * `forced` and `lost` have an outcome of their own, whatever the work under way still does.
 */
export class ShardLife {
  readonly #options: ShardLifeOptions;
  /** Aborts when no further record is to be started. */
  readonly #stop = new AbortController();
  /** Aborts when the shard is given up, with a handler under way or without. */
  readonly #abandon = new AbortController();
  /** Settles with the outcome of a shard that was given up. */
  readonly givenUp: Promise<ShardOutcome>;
  readonly #unlisten: (() => void)[] = [];
  #giveUp: (outcome: ShardOutcome) => void = () => {};
  #waitingFor: "handler" | "flush" = "handler";
  #failure: KcError | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: ShardLifeOptions) {
    this.#options = options;
    this.givenUp = new Promise((resolve) => (this.#giveUp = resolve));
    // Every record in hand may listen to both; Node takes more than ten listeners for a leak.
    setMaxListeners(0, this.stop, this.abandon);
  }

  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  get abandon(): AbortSignal {
    return this.#abandon.signal;
  }

  /** What a forced shard was waiting for. */
  get waitingFor(): "handler" | "flush" {
    return this.#waitingFor;
  }

  /** What the shard's work failed with; undefined = it did not fail. */
  get failure(): KcError | undefined {
    return this.#failure;
  }

  /**
   * The work failed: reported at once, so that the whole scan stops. The first failure counts; what
   * comes after `abandon` is none.
   */
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

  /** Listens to whatever may end it, from now until `close`. */
  open(): void {
    const { stop, deadline, assignment, progress } = this.#options;
    const { handOff, lost } = assignment;
    this.#on(stop, () => this.#drain(stop.reason));
    this.#on(deadline, () => this.#overtime(deadline.reason));
    this.#on(progress.lost, () => this.#lose(progress.lost.reason as LeaseLostError));
    this.#on(lost, () => this.#lose(lost?.reason as LeaseLostError));
    this.#on(handOff, () => this.#handOff(handOff?.reason as HandOff));
  }

  /** The work is over, or was given up. Idempotent. */
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
      // Only the store is waited for: it must answer before the lease can be given back. What runs
      // on after its answer, such as the hook of a closed shard, is given up.
      this.#cancelTimer = setTimer(clock, onOvertime, LAST_FLUSH_MS);
    };
    this.#cancelTimer = setTimer(clock, onOvertime, reason.deadlineMs);
  }

  /** The deadline of the consumer's stop is over. */
  #overtime(reason: unknown): void {
    this.#force(reason);
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.setTimer(() => this.#giveUpNow(), LAST_FLUSH_MS);
  }

  #force(reason: unknown): void {
    if (this.abandon.aborted) return;
    const { progress } = this.#options;
    this.#waitingFor = progress.awaited ? "flush" : "handler";
    this.#abandon.abort(reason);
    const giveUp = (): void => this.#giveUpNow();
    void progress.flush().then(giveUp, giveUp);
  }

  #giveUpNow(): void {
    this.#giveUp({ kind: "forced", checkpoint: this.#options.progress.acknowledged });
  }

  #lose(error: LeaseLostError): void {
    const { assignment, progress, onFailure } = this.#options;
    // Without a lease, the refusal means that another deployment holds one.
    if (assignment.fence === undefined) onFailure(error);
    progress.close(error);
    this.#stop.abort(error);
    this.#abandon.abort(error);
    this.#giveUp({ kind: "lost", detail: error.message });
  }
}
