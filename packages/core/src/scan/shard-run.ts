import type { Checkpointer } from "../checkpoints/checkpointer.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { startPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import type { Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";
import type { Delivery, OpenDelivery } from "../delivery/delivery.ts";
import type { LoopTurns } from "../delivery/loop-turns.ts";
import type { Pauses } from "../delivery/pauses.ts";
import { LeaseLostError, type KcError } from "../errors.ts";
import type { ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { OpenReader, ReadStart, ShardReader } from "../reading/shard-reader.ts";
import type { SharedTimer } from "../shared-timer.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";
import { ShardLife } from "./shard-life.ts";
import { ShardPages } from "./shard-pages.ts";
import { workStatus, type Step } from "./work-status.ts";

export interface ShardRunOptions {
  readonly openReader: OpenReader;
  readonly openDelivery: OpenDelivery;
  readonly onShardClosed: ((shardId: string) => unknown) | undefined;
  readonly application: ApplicationStart;
  /** True if no worker has held the shard before. */
  readonly firstGrant: boolean;
  readonly stream: StreamClient;
  readonly checkpointer: Checkpointer;
  readonly clock: Clock;
  readonly random: () => number;
  readonly drainTimeoutMs: number;
  readonly turns: LoopTurns;
  readonly timer: SharedTimer;
  readonly pauses: Pauses;
  readonly telemetry: Telemetry;
  readonly totals: Totals;
  /** Aborts when the consumer stops: no further record may start. */
  readonly stop: AbortSignal;
  /** Aborts at the deadline of the stop. */
  readonly deadline: AbortSignal;
  /** Called as soon as this shard fails, before its finished work is flushed. */
  readonly onFailure: (error: KcError) => void;
  /** Settles when all handlers of the shard's earlier run have returned. Reading waits for it. */
  readonly previous: Promise<unknown> | undefined;
}

/**
 * Reads one assignment, from grant to outcome: waits for the shard's earlier run, then reads by `ShardPages`.
 * `ShardLife` decides how long that may take.
 */
export class ShardRun {
  readonly shardId: string;
  readonly #assignment: ShardAssignment;
  readonly #options: ShardRunOptions;
  readonly #progress: ShardProgress;
  readonly #life: ShardLife;
  readonly #grantedAt: number;
  /** Undefined while a handler of an earlier run still has a record of this shard. */
  #pages: ShardPages | undefined;
  #reader: ShardReader | undefined;
  #delivery: Delivery | undefined;
  #idle: Promise<unknown> = Promise.resolve();

  constructor(assignment: ShardAssignment, options: ShardRunOptions) {
    const { shardId, fence, checkpoint } = assignment;
    this.shardId = shardId;
    this.#assignment = assignment;
    this.#options = options;
    this.#progress = options.checkpointer.open(
      shardId,
      fence,
      checkpoint,
      () => assignment.firstNumber?.() ?? options.stream.listedStartingSequenceNumber(shardId),
    );
    this.#life = new ShardLife({ ...options, assignment, progress: this.#progress });
    this.#grantedAt = options.clock.monotonic();
  }

  get #step(): Step {
    return this.#pages?.step ?? { kind: "waiting" };
  }

  /** Settles when all handlers of this run have returned; never, if one does not return. */
  get idle(): Promise<unknown> {
    return this.#idle;
  }

  /** True while Kinesis calls for this shard fail. */
  get fails(): boolean {
    return this.#options.telemetry.failingCalls.ofShard(this.shardId) !== undefined;
  }

  /** What the shard was waiting for when the deadline of a stop passed. */
  get waitingFor(): "handler" | "flush" {
    return this.#life.waitingFor;
  }

  get acknowledged(): Checkpoint | undefined {
    return this.#progress.acknowledged;
  }

  /** True if GetRecords has been answered for this shard. */
  get hasRead(): boolean {
    return this.#reader?.status(this.#options.clock.monotonic()).answered ?? false;
  }

  /** True if a handler or the hook `onShardClosed` is running, even if the shard was abandoned. */
  get isHandling(): boolean {
    if (this.#step.kind === "closing") return true;
    return this.#delivery?.status(this.#options.clock.monotonic()).state === "handling";
  }

  /**
   * For how long the next page has been overdue, in milliseconds; Infinity = none is being requested, 0 = nothing
   * suggests a delay. @param now by the monotonic clock
   */
  unansweredForMs(now: number): number {
    const reader = this.#reader?.status(now);
    const isRequested = this.#step.kind === "reading" && !this.#life.stop.aborted;
    if (reader === undefined || !isRequested) return Infinity;
    const hasPage = reader.hasPage || this.#delivery?.status(now).oldest !== undefined;
    return this.fails || hasPage ? reader.overdueMs : 0;
  }

  status(): ShardStatus {
    const { clock, stream, telemetry } = this.#options;
    const now = clock.monotonic();
    const work = workStatus(now, {
      grantedAt: this.#grantedAt,
      step: this.#step,
      reader: this.#reader?.status(now),
      delivery: this.#delivery?.status(now),
      retentionMs: stream.retention.ms,
      serviceNowMs: stream.serviceNow().getTime(),
    });
    const { stop, abandon } = this.#life;
    return {
      shardId: this.shardId,
      ...work,
      state: abandon.aborted ? "abandoned" : stop.aborted ? "draining" : work.state,
      unreadForMs: stop.aborted ? 0 : work.unreadForMs,
      error: telemetry.failingCalls.ofShard(this.shardId),
      position: this.#progress.position,
      acknowledged: this.#progress.acknowledged,
      unflushedForMs: this.#progress.unflushedForMs(now),
      owner: this.#assignment.fence?.owner,
    };
  }

  /** Reads until there is an outcome. Called once; never rejects. */
  async run(): Promise<ShardOutcome> {
    const life = this.#life;
    life.open();
    const work = this.#work();
    this.#idle = Promise.all([this.#options.previous, work]);
    try {
      return await Promise.race([work, life.abandoned]);
    } finally {
      life.close();
      this.#progress.close(new LeaseLostError(this.shardId, "it is no longer read here"));
    }
  }

  async #work(): Promise<ShardOutcome> {
    try {
      return await this.#read();
    } catch (error) {
      // Reported before waiting for records in flight: a handler may never return.
      this.#fail(error);
    } finally {
      // Closing the reader releases the memory of all its pages, including those in delivery.
      await this.#delivery?.close();
      this.#reader?.close();
    }
    return this.#settle();
  }

  async #read(): Promise<ShardOutcome> {
    const { stop } = this.#life;
    // An abandoned handler of an earlier run may still be running.
    await Promise.race([this.#options.previous, aborted(stop)]);
    stop.throwIfAborted();
    const delivery = this.#openDelivery();
    this.#delivery = delivery;
    const { openReader, clock } = this.#options;
    const reader = openReader({
      shardId: this.shardId,
      start: this.#start(),
      hashKeyRange: this.#assignment.hashKeyRange,
      stop,
      isHandling: () => delivery.status(clock.monotonic()).isAtRecord,
    });
    this.#reader = reader;
    this.#pages = new ShardPages({
      ...this.#options,
      shardId: this.shardId,
      reader,
      delivery,
      progress: this.#progress,
      resumedAfter: this.#assignment.checkpoint?.sequenceNumber,
      stop,
    });
    return this.#pages.run();
  }

  #openDelivery(): Delivery {
    const { openDelivery, stream } = this.#options;
    const { shardId, fence, remainingMs } = this.#assignment;
    const { stop, abandon } = this.#life;
    return openDelivery({
      ...this.#options,
      shardId,
      fence,
      remainingMs,
      progress: this.#progress,
      stop,
      abandon,
      fail: (error) => this.#fail(error),
      serviceNow: () => stream.serviceNow(),
      retentionMs: () => stream.retention.ms,
    });
  }

  /** Reports what reading the shard threw, unless it is the reason of the stop. */
  #fail(thrown: unknown): void {
    const { stop } = this.#life;
    if (!stop.aborted || thrown !== stop.reason) this.#life.fail(thrown);
  }

  #start(): ReadStart {
    const { application, firstGrant, telemetry } = this.#options;
    const { shardId } = this;
    const { checkpoint } = this.#assignment;
    const from = startPosition(application, { ...this.#assignment, firstGrant });
    telemetry.info("reading a shard", {
      shardId,
      from: from.ShardIteratorType,
      sequenceNumber: from.StartingSequenceNumber,
    });
    return { from, delivered: checkpoint?.kind === "position" ? checkpoint : undefined };
  }

  /** Flushes finished work and returns the outcome. */
  async #settle(): Promise<ShardOutcome> {
    const { shardId } = this;
    const life = this.#life;
    // An abandoned shard has its outcome already; the work only followed the signal.
    if (life.abandon.aborted) return life.abandoned;
    try {
      await this.#progress.flush();
    } catch (error) {
      if (life.abandon.aborted) return life.abandoned;
      // Also if the same error already stopped the scan: the work of this shard is not stored.
      life.fail(error);
      const { telemetry } = this.#options;
      telemetry.warn("finished work was not flushed and will repeat", { shardId, error });
    }
    if (life.failure !== undefined) return { kind: "failed", error: life.failure };
    return this.#assignment.handOff?.aborted
      ? { kind: "released", checkpoint: this.acknowledged }
      : { kind: "stopped" };
  }
}
