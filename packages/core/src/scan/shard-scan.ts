import type { Checkpointer } from "../checkpoints/checkpointer.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { startPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import { sleep, setTimer, type Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";
import { describeError, KcError, LeaseLostError } from "../errors.ts";
import type { HandOff, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import { CONFIRM_MS } from "../groups/listing-history.ts";
import type { Handler } from "../handler.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { PollOptions } from "../reading/pacing.ts";
import type { SharedReading } from "../reading/poll-gate.ts";
import type { Page } from "../reading/polling-reader.ts";
import { ShardReading, type ReadingStatus } from "./shard-reading.ts";
import type { RecordLoop } from "../delivery/record-iterator.ts";
import type { Totals } from "./scan-log.ts";
import type { LoopTurns } from "../delivery/loop-turns.ts";

/** How long the last flush may take once a deadline has passed, in milliseconds. */
export const LAST_FLUSH_MS = 1000;

export interface ShardScanOptions {
  readonly handler: Handler;
  readonly onShardClosed: ((shardId: string) => unknown) | undefined;
  readonly application: ApplicationStart;
  /** Nobody has held the shard before. */
  readonly firstGrant: boolean;
  readonly poll: PollOptions & { readonly maxRecords: number; readonly readShare: number };
  readonly reading: SharedReading;
  readonly stream: StreamClient;
  readonly checkpointer: Checkpointer;
  readonly clock: Clock;
  readonly turns: LoopTurns;
  readonly telemetry: Telemetry;
  readonly totals: Totals;
  /** What takes the records, if the handler only hands them on. */
  readonly loop: RecordLoop | undefined;
  /** Aborts when the consumer stops: start no further record. */
  readonly stop: AbortSignal;
  /** Aborts when the time that a stop has is over. */
  readonly deadline: AbortSignal;
  /** Told at once when this shard fails, before its finished work is flushed. */
  readonly onFailure: (error: KcError) => void;
  /** Settles when no handler of the shard's earlier scan runs any more. Reading waits for it. */
  readonly previous: Promise<unknown> | undefined;
}

/**
 * Reads one assignment, from grant to outcome:
 * reading → (last page handled, its end checkpointed) ended;
 * reading → (consumer stops | handed over) draining → (record in hand done, flushed) stopped
 * or released, or → (deadline) forced; from anywhere → (fence refused | lease lost) lost, and
 * → (handler, store or stream fails) failed.
 */
export class ShardScan {
  readonly shardId: string;
  readonly #assignment: ShardAssignment;
  readonly #options: ShardScanOptions;
  readonly #progress: ShardProgress;
  /** Start no further record. */
  readonly #stop = new AbortController();
  /** The shard is given up, with a handler under way or without. */
  readonly #abandon = new AbortController();
  readonly #givenUp: Promise<ShardOutcome>;
  readonly #grantedAt: number;
  #giveUp: (outcome: ShardOutcome) => void = () => {};
  #idle: Promise<unknown> = Promise.resolve();
  /** Undefined until reading has begun. */
  #reading: ShardReading | undefined;
  /** The last page was handled: nothing is to be read. */
  #atEnd = false;
  /** Since when the hook of a closed shard has been called, by the monotonic clock. */
  #hookSince: number | undefined;
  #waitingFor: "handler" | "flush" = "handler";
  #cancelTimer: (() => void) | undefined;

  constructor(assignment: ShardAssignment, options: ShardScanOptions) {
    const { shardId, fence, checkpoint } = assignment;
    this.shardId = shardId;
    this.#assignment = assignment;
    this.#options = options;
    this.#progress = options.checkpointer.open(shardId, fence, checkpoint);
    this.#grantedAt = options.clock.monotonic();
    this.#givenUp = new Promise((resolve) => (this.#giveUp = resolve));
  }

  /** Settles when no handler of this scan runs any more: never, if one never returns. */
  get idle(): Promise<unknown> {
    return this.#idle;
  }

  status(): ShardStatus {
    const { clock, telemetry } = this.#options;
    const now = clock.monotonic();
    const reading = this.#reading?.status(now);
    const waiting = now - this.#grantedAt;
    const unreadForMs =
      this.#stop.signal.aborted || this.#atEnd ? 0 : (reading?.unreadForMs ?? waiting);
    return {
      shardId: this.shardId,
      lagMs: waiting,
      handlingForMs: 0,
      recordsInFlight: 0,
      sinceLastPollMs: undefined,
      ...reading,
      ...(this.#atEnd && { lagMs: 0 }),
      ...(this.#hookSince !== undefined && { handlingForMs: now - this.#hookSince }),
      state: this.#state(reading),
      unreadForMs,
      error: telemetry.troubles.ofShard(this.shardId),
      position: this.#progress.position,
      acknowledged: this.#progress.acknowledged,
      unflushedForMs: this.#progress.unflushedForMs(now),
      owner: this.#assignment.fence?.owner,
    };
  }

  /**
   * For how long its next page has been due, in milliseconds; Infinity = none is asked for now; 0 = it
   * comes, as far as is known. @param now by the monotonic clock
   */
  unansweredForMs(now: number): number {
    const reading = this.#reading;
    if (reading === undefined || this.#stop.signal.aborted || this.#atEnd) return Infinity;
    return this.fails || reading.hasPage ? reading.overdueMs(now) : 0;
  }

  /** Do calls for it fail? */
  get fails(): boolean {
    return this.#options.telemetry.troubles.ofShard(this.shardId) !== undefined;
  }

  /** Has a request of it been answered? */
  get hasRead(): boolean {
    return this.#reading?.hasRead ?? false;
  }

  /** Is a handler at its records, whether it is still read here or not? */
  get isHandling(): boolean {
    return this.#hookSince !== undefined || (this.#reading?.isHandling ?? false);
  }

  /** What a stop that ran out of time was waiting for. */
  get waitingFor(): "handler" | "flush" {
    return this.#waitingFor;
  }

  get acknowledged(): Checkpoint | undefined {
    return this.#progress.acknowledged;
  }

  /** Reads until there is an outcome. Called once; never rejects. */
  async run(): Promise<ShardOutcome> {
    const unlisten = this.#listen();
    const work = this.#begin().catch((error: unknown) => this.#settle(error));
    this.#idle = Promise.all([this.#options.previous, work]);
    const outcome = await Promise.race([work, this.#givenUp]);
    unlisten();
    this.#cancelTimer?.();
    this.#progress.close(new LeaseLostError(this.shardId, "it is no longer read here"));
    return outcome;
  }

  #state(reading: ReadingStatus | undefined): ShardStatus["state"] {
    if (this.#abandon.signal.aborted) return "abandoned";
    if (this.#stop.signal.aborted) return "draining";
    return this.#hookSince === undefined ? (reading?.state ?? "waiting") : "handling";
  }

  /** A handler that was given up may still be running; the shard's next one waits for it. */
  async #begin(): Promise<ShardOutcome> {
    const stop = this.#stop.signal;
    await Promise.race([this.#options.previous, aborted(stop)]);
    stop.throwIfAborted();
    return this.#read();
  }

  async #read(): Promise<ShardOutcome> {
    const { application, firstGrant, telemetry } = this.#options;
    const { shardId } = this;
    const { fence, remainingMs } = this.#assignment;
    const start = startPosition(application, { ...this.#assignment, firstGrant });
    telemetry.info("reading a shard", {
      shardId,
      from: start.ShardIteratorType,
      sequenceNumber: start.StartingSequenceNumber,
    });
    const reading = new ShardReading({
      ...this.#options,
      shardId,
      fence,
      start,
      remainingMs,
      progress: this.#progress,
      stop: this.#stop.signal,
      abandon: this.#abandon.signal,
    });
    this.#reading = reading;
    let last = this.#assignment.checkpoint?.sequenceNumber;
    try {
      for (;;) {
        const page = await reading.next();
        if (page === undefined) return { kind: "aged-out" };
        const { records } = page;
        if (records.length > 0) last = records.sequenceNumber(records.length - 1);
        if (!(await reading.deliver(page))) return await this.#drained();
        if (!page.end) continue;
        this.#atEnd = true;
        if (await this.#isClosed(page)) {
          // A shard without records has the number with which they would begin.
          last ??= await this.#firstNumber();
          reading.close();
          return await this.#ended(page, last);
        }
        this.#atEnd = false;
        reading.reopen();
      }
    } finally {
      reading.close();
    }
  }

  /**
   * No next iterator means the end; where no children confirm that, listings must: one that says so,
   * or two, some time apart, that do not name the shard any more.
   */
  async #isClosed(page: Page): Promise<boolean> {
    if (page.children.length > 0) return true;
    const { stream, clock, telemetry } = this.#options;
    const { shardId } = this;
    const stop = this.#stop.signal;
    for (let missed = 0; missed < 2; missed += 1) {
      if (missed > 0) await sleep(clock, CONFIRM_MS, stop);
      stop.throwIfAborted();
      const listing = await stream.listShards(stop);
      const listed = listing.find((shard) => shard.shardId === shardId);
      if (listed === undefined) continue;
      if (listed.closed) return true;
      telemetry.warn("no next iterator, but the shard is open: reading on", { shardId });
      return false;
    }
    return true;
  }

  /** Of a shard without records: good to have for other readers of the store, and no more. */
  async #firstNumber(): Promise<string | undefined> {
    const { stream, telemetry } = this.#options;
    const { shardId } = this;
    const stop = this.#stop.signal;
    try {
      return await stream.firstNumberOf(shardId, stop);
    } catch (error) {
      stop.throwIfAborted();
      telemetry.warn("the shards cannot be listed: a shard's end is stored without its number", {
        shardId,
        error,
      });
      return undefined;
    }
  }

  /** @param sequenceNumber the last record's */
  async #ended(page: Page, sequenceNumber: string | undefined): Promise<ShardOutcome> {
    const { shardId } = this;
    await this.#progress.end(sequenceNumber);
    this.#options.telemetry.info("a shard was read to its end", {
      shardId,
      children: page.children.map((child) => child.shardId),
    });
    this.#hookSince = this.#options.clock.monotonic();
    try {
      await this.#options.onShardClosed?.(shardId);
    } catch (error) {
      const message = `${shardId}: onShardClosed failed: ${describeError(error)}`;
      throw new KcError("HOOK_FAILED", message, { shardId, cause: error });
    } finally {
      this.#hookSince = undefined;
    }
    return { kind: "ended", children: page.children };
  }

  /** The record in hand is done; what is done goes to the store. */
  async #drained(): Promise<ShardOutcome> {
    await this.#progress.flush();
    return this.#assignment.handOff?.aborted
      ? { kind: "released", checkpoint: this.acknowledged }
      : { kind: "stopped" };
  }

  /** LoopTurns what ended the reading into its outcome. */
  async #settle(thrown: unknown): Promise<ShardOutcome> {
    // Whoever gave the shard up has the outcome already; the handler only followed its signal.
    if (this.#abandon.signal.aborted) return this.#givenUp;
    const stopped = this.#stop.signal.aborted && thrown === this.#stop.signal.reason;
    return stopped
      ? this.#drained().catch((error: unknown) => this.#failed(error))
      : this.#failed(thrown);
  }

  async #failed(thrown: unknown): Promise<ShardOutcome> {
    if (this.#abandon.signal.aborted) return this.#givenUp;
    const { shardId } = this;
    const error = KcError.is(thrown)
      ? thrown
      : new KcError("KINESIS_FAILED", `${shardId}: ${describeError(thrown)}`, {
          shardId,
          cause: thrown,
        });
    this.#options.onFailure(error);
    // What was finished before the failure is kept; a store that fails too has said so itself.
    await this.#progress.flush().catch((flushError: unknown) => {
      this.#options.telemetry.warn("finished work was not flushed and will repeat", {
        shardId,
        error: flushError,
      });
    });
    return { kind: "failed", error };
  }

  #listen(): () => void {
    const { stop, deadline, clock } = this.#options;
    const { handOff, lost } = this.#assignment;
    const refused = this.#progress.lost;
    const onStop = (): void => this.#drain(stop.reason);
    const onDeadline = (): void => {
      this.#force(deadline.reason);
      this.#cancelTimer?.();
      this.#cancelTimer = clock.setTimer(() => this.#giveUpNow(), LAST_FLUSH_MS);
    };
    const onLost = (): void => this.#lose(lost?.reason as LeaseLostError);
    const onRefused = (): void => this.#lose(refused.reason as LeaseLostError);
    const onHandOff = (): void => {
      const reason = handOff?.reason as HandOff;
      this.#drain(reason);
      const onOvertime = (): void => {
        if (!this.#progress.awaited) return this.#force(reason);
        // Only the store is waited for: it must answer before the lease can be given back. What runs
        // on after its answer, such as the hook of a closed shard, is given up.
        this.#cancelTimer = setTimer(clock, onOvertime, LAST_FLUSH_MS);
      };
      this.#cancelTimer = setTimer(clock, onOvertime, reason.deadlineMs);
    };
    const subscriptions: readonly (readonly [AbortSignal | undefined, () => void])[] = [
      [stop, onStop],
      [deadline, onDeadline],
      [refused, onRefused],
      [lost, onLost],
      [handOff, onHandOff],
    ];
    for (const [signal, listener] of subscriptions) {
      if (signal?.aborted) listener();
      else signal?.addEventListener("abort", listener, { once: true });
    }
    return () => {
      for (const [signal, listener] of subscriptions)
        signal?.removeEventListener("abort", listener);
    };
  }

  /** Nothing more is begun; the record in hand is finished, and what is finished is flushed. */
  #drain(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(reason);
    this.#options.telemetry.emit({ kind: "shard-draining", shardId: this.shardId });
  }

  /** The deadline is over: the handler is told, and what is finished is flushed. */
  #force(reason: unknown): void {
    if (this.#abandon.signal.aborted) return;
    this.#waitingFor = this.#progress.awaited ? "flush" : "handler";
    this.#abandon.abort(reason);
    const giveUp = (): void => this.#giveUpNow();
    void this.#progress.flush().then(giveUp, giveUp);
  }

  #giveUpNow(): void {
    this.#giveUp({ kind: "forced", checkpoint: this.acknowledged });
  }

  /** Somebody else may own the shard already: nothing more is begun, nothing more is written. */
  #lose(error: LeaseLostError): void {
    // Without a lease there was none to lose: the store says that another deploy holds one.
    if (this.#assignment.fence === undefined) this.#options.onFailure(error);
    this.#progress.close(error);
    this.#stop.abort(error);
    this.#abandon.abort(error);
    this.#giveUp({ kind: "lost", detail: error.message });
  }
}
