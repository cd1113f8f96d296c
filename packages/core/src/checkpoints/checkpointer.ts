import type { Clock } from "../clock.ts";
import { LeaseLostError, StoreError, toKcError, type KcError } from "../errors.ts";
import { checkpointChannel } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { codeOfError } from "../without-message.ts";
import { FlushSchedule } from "./flush-schedule.ts";
import { formatCheckpoint, type Checkpoint } from "./position.ts";
import { AdaptiveTimeout } from "./adaptive-timeout.ts";
import { ShardProgress } from "./shard-progress.ts";
import type { StoreCalls } from "./store-calls.ts";
import type {
  BulkCheckpointResult,
  CallOptions,
  CheckpointWrite,
  Fence,
  StoreScope,
} from "./store.ts";

export interface CheckpointerOptions {
  readonly calls: StoreCalls;
  readonly scope: StoreScope;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly flushIntervalMs: number;
  readonly maxUnflushedMs: number;
  /** The longest timeout of one write, in milliseconds. */
  readonly maxWriteMs: () => number;
  /** Aborts when the scan has ended: no retry continues after that. */
  readonly ended: AbortSignal;
  /** Called once, with a failure of the store that a retry does not fix. */
  readonly onFailure: (error: KcError) => void;
}

/**
 * Writes finished work to the store: coalesced to at most one periodic write per shard and interval, all due
 * shards in one bulk call, one call at a time. A retryable failure, and a call that takes much longer than
 * earlier ones, is retried with what is finished by then. Writes are monotonic and fenced, so a write that
 * takes effect late does no harm. After a call that reached the longest timeout, the next one contains half
 * as many shards. If the store says which shards a failure concerns, the others are acknowledged. A failure
 * that is not retryable ends the scan.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #schedule: FlushSchedule;
  readonly #timeout: AdaptiveTimeout;
  #writing = false;
  /** The most shards of one write: lowered if the store could not write as many in time. */
  #maxShardsPerWrite = Infinity;
  #failure: KcError | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    const { clock, flushIntervalMs } = options;
    this.#schedule = new FlushSchedule(clock, flushIntervalMs, () => void this.#write());
    this.#timeout = new AdaptiveTimeout(options.clock, options.maxWriteMs);
  }

  /**
   * Registers a shard for as long as this process reads it.
   * @param firstNumber as in `ShardProgressOptions`
   */
  open(
    shardId: string,
    fence: Fence | undefined,
    acknowledged: Checkpoint | undefined,
    firstNumber: () => string | undefined,
  ): ShardProgress {
    const { calls, random, flushIntervalMs, maxUnflushedMs, clock, telemetry } = this.#options;
    const { flush, maxAheadBytes = 0 } = calls.store.capabilities;
    const spread = flush === "spread";
    const progress = new ShardProgress({
      shardId,
      fence,
      acknowledged,
      firstNumber,
      maxAheadBytes,
      writeThrough: flushIntervalMs === 0,
      phaseMs: spread ? random() * flushIntervalMs : 0,
      maxUnflushedMs,
      clock,
      onDirty: (dirty) => {
        if (!this.#failure) this.#schedule.addAtTick(dirty);
      },
      onFlush: (flushed) => this.#flushNow(flushed),
    });
    const isAhead = acknowledged?.kind === "position" && acknowledged.ahead !== undefined;
    if (isAhead && progress.resumed === undefined) {
      telemetry.add("ahead_dropped", 1, { shardId });
      telemetry.warn(
        "the checkpoint's list of records done ahead of its position is damaged: they are delivered again",
        { shardId, position: formatCheckpoint(acknowledged) },
      );
    }
    return progress;
  }

  /** Ends the timer. Work that is not flushed by then stays unflushed. */
  close(): void {
    this.#schedule.clear();
  }

  #flushNow(progress: ShardProgress): void {
    if (this.#failure) return progress.fail(this.#failure);
    this.#schedule.addNow(progress);
    this.#timeout.hurry();
    void this.#write();
  }

  /** The only writer. It repeats until no shard is due any more. */
  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    this.#schedule.pause();
    try {
      while (this.#schedule.due().length > 0) await this.#writeDue();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#writing = false;
    }
    this.#schedule.resume();
  }

  async #writeDue(): Promise<void> {
    const { calls, ended } = this.#options;
    const send = async (call: Required<CallOptions>): Promise<() => void> => {
      // Collected again for each attempt: a retry includes what was finished meanwhile.
      const due = this.#schedule
        .take(this.#maxShardsPerWrite)
        .filter((each) => !this.#isStored(each));
      if (due.length === 0) return () => {};
      this.#halveOnTimeout(due.length, call.signal);
      // Results correspond to writes by index. Frozen, so that a store that sorts the list fails.
      const writes = Object.freeze(due.map((progress) => Object.freeze(progress.take())));
      const results = await this.#send(writes, call);
      if (results.length !== writes.length) {
        throw new StoreError(
          "STORE_FAILED",
          `setCheckpoints answered ${results.length} results for ${writes.length} writes`,
        );
      }
      const acknowledge = (): void => {
        if (due.length === this.#maxShardsPerWrite) this.#maxShardsPerWrite *= 2;
        results.forEach((result, i) => this.#acknowledge(due[i]!, writes[i]!, result));
      };
      const errors = results.flatMap((each) => (each.outcome === "failed" ? [each.error] : []));
      if (errors.length === 0) return acknowledge;
      // The failed writes stay due, and are retried like those of any failed call.
      if (!call.signal.aborted) acknowledge();
      throw errors.find(({ retryable }) => !retryable) ?? errors[0]!;
    };
    const acknowledge = await calls.retry("setCheckpoints", ended, send, this.#timeout);
    // Not within the call: a result that arrives after the timeout is superseded by the retry.
    acknowledge();
  }

  /** Whether a transaction has already stored the shard's progress: then it need not be written. */
  #isStored(progress: ShardProgress): boolean {
    const { acknowledged: stored } = progress;
    if (stored === undefined || !progress.isStored) return false;
    this.#schedule.delete(progress);
    progress.take();
    progress.acknowledge({ outcome: "same", stored });
    return true;
  }

  /** Halves the number of shards per write if this write reaches the longest timeout. */
  #halveOnTimeout(shards: number, attempt: AbortSignal): void {
    const { clock, maxWriteMs } = this.#options;
    const since = clock.monotonic();
    const halve = (): void => {
      const hasTimedOut = clock.monotonic() - since >= maxWriteMs();
      if (hasTimedOut) this.#maxShardsPerWrite = Math.max(1, Math.floor(shards / 2));
    };
    attempt.addEventListener("abort", halve, { once: true });
  }

  async #send(
    writes: readonly CheckpointWrite[],
    call: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    const { calls, scope, clock, telemetry } = this.#options;
    const send = () => calls.store.setCheckpoints(scope, writes, call);
    const since = clock.monotonic();
    let failed: { readonly error: string } | undefined;
    try {
      if (!checkpointChannel.hasSubscribers) return await send();
      const checkpoints = writes.map(({ shardId, checkpoint }) => ({ shardId, checkpoint }));
      return await checkpointChannel.tracePromise(send, { ...telemetry.source, checkpoints });
    } catch (error) {
      failed = { error: codeOfError(error) ?? telemetry.errorNames.of(error) };
      for (const { shardId } of writes) {
        telemetry.add("checkpoints", 1, { shardId, outcome: "failed" });
      }
      throw error;
    } finally {
      telemetry.record("checkpoint_duration", clock.monotonic() - since, failed ?? {});
    }
  }

  #acknowledge(
    progress: ShardProgress,
    write: CheckpointWrite,
    result: BulkCheckpointResult,
  ): void {
    const { shardId } = progress;
    const { telemetry } = this.#options;
    if (result.outcome === "failed") {
      telemetry.add("checkpoints", 1, { shardId, outcome: "failed" });
      return;
    }
    if (result.outcome === "lease-lost") {
      this.#schedule.delete(progress);
      telemetry.add("checkpoints", 1, { shardId, outcome: "lost" });
      progress.lose(new LeaseLostError(shardId, "the store refused this worker's checkpoint"));
      return;
    }
    // A transaction of this worker may have stored more meanwhile.
    const isOwn = result.outcome === "behind" && progress.knows(result.stored);
    const outcome = isOwn ? "same" : result.outcome;
    telemetry.add("checkpoints", 1, { shardId, outcome });
    telemetry.add("checkpoints_coalesced", progress.coalesced, { shardId });
    if (outcome === "behind" && !progress.wasBehind) {
      telemetry.warn("the store's checkpoint is further on: another process reads this shard too", {
        shardId,
        written: formatCheckpoint(write.checkpoint),
        stored: formatCheckpoint(result.stored),
      });
    }
    this.#schedule.delete(progress);
    if (progress.acknowledge({ outcome, stored: result.stored })) {
      if (progress.awaited) this.#schedule.addNow(progress);
      else this.#schedule.addAtTick(progress);
    }
  }

  /** Ends all writing: after a failure that is not retryable, or when the scan has ended. */
  #fail(thrown: unknown): void {
    const { ended, onFailure } = this.#options;
    const error = toKcError(thrown, "STORE_FAILED", "setCheckpoints");
    this.#failure = error;
    for (const progress of this.#schedule) progress.fail(error);
    this.#schedule.clear();
    if (!ended.aborted) onFailure(error);
  }
}
