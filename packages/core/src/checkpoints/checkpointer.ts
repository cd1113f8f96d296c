import type { Clock } from "../clock.ts";
import { LeaseLostError, StoreError, toKcError, type KcError } from "../errors.ts";
import { checkpointChannel } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { codeOfError } from "../without-message.ts";
import { FlushSchedule } from "./flush-schedule.ts";
import { formatCheckpoint, type Checkpoint } from "./position.ts";
import { Patience } from "./patience.ts";
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
  /** One write may take so long at most, in milliseconds. */
  readonly mostMs: () => number;
  /** Aborts when the scan is over: no retry continues after it. */
  readonly over: AbortSignal;
  /** A failure of the store that a retry does not fix. Called once. */
  readonly onFailure: (error: KcError) => void;
}

/**
 * Writes finished work to the store: coalesced, at most one periodic write a shard and interval, all
 * shards that are due in one bulk call, one call at a time. A passing failure is retried with what is
 * finished by then, and so is a call that takes much longer than others did. Writes are monotonic and
 * fenced, so one that takes effect late does no harm. After a call that took the longest time allowed,
 * the next one carries half as many shards. Where the store says which shards a failure concerns, the
 * others are acknowledged. A lasting failure ends the scan.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #schedule: FlushSchedule;
  readonly #patience: Patience;
  #writing = false;
  /** How many shards one write carries at most: what the store has taken in time. */
  #mostAtOnce = Infinity;
  #failure: KcError | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    const { clock, flushIntervalMs } = options;
    this.#schedule = new FlushSchedule(clock, flushIntervalMs, () => void this.#write());
    this.#patience = new Patience(options.clock, options.mostMs);
  }

  /**
   * A shard's place in the checkpointer, for as long as this process reads the shard.
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
        "the checkpoint's text of what is done beyond its position is damaged: these records repeat",
        { shardId, position: formatCheckpoint(acknowledged) },
      );
    }
    return progress;
  }

  /** Ends the timer. What is unflushed by then stays so. */
  close(): void {
    this.#schedule.clear();
  }

  #flushNow(progress: ShardProgress): void {
    if (this.#failure) return progress.fail(this.#failure);
    this.#schedule.addNow(progress);
    this.#patience.hurry();
    void this.#write();
  }

  /** The one writer. Its next round takes the shards that become due meanwhile. */
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
    const { calls, over } = this.#options;
    const send = async (call: Required<CallOptions>): Promise<() => void> => {
      // Taken again for each try: a retry carries what was finished meanwhile.
      const due = this.#schedule.take(this.#mostAtOnce).filter((each) => !this.#isStored(each));
      if (due.length === 0) return () => {};
      this.#halveIfTooSlow(due.length, call.signal);
      // Answers belong to writes by their position. Frozen, so that a store that sorts the list fails.
      const writes = Object.freeze(due.map((progress) => Object.freeze(progress.take())));
      const results = await this.#send(writes, call);
      if (results.length !== writes.length) {
        throw new StoreError(
          "STORE_FAILED",
          `setCheckpoints answered ${results.length} results for ${writes.length} writes`,
        );
      }
      const acknowledge = (): void => {
        if (due.length === this.#mostAtOnce) this.#mostAtOnce *= 2;
        results.forEach((result, i) => this.#acknowledge(due[i]!, writes[i]!, result));
      };
      const errors = results.flatMap((each) => (each.outcome === "failed" ? [each.error] : []));
      if (errors.length === 0) return acknowledge;
      // The others are done with. These stay due, and are tried again as after any failure.
      if (!call.signal.aborted) acknowledge();
      throw errors.find(({ retryable }) => !retryable) ?? errors[0]!;
    };
    const acknowledge = await calls.retry("setCheckpoints", over, send, this.#patience);
    // Not in the call itself: an answer that comes after its time-out has been overtaken.
    acknowledge();
  }

  /** What a transaction has stored is not written again. */
  #isStored(progress: ShardProgress): boolean {
    const { acknowledged: stored } = progress;
    if (stored === undefined || !progress.isStored) return false;
    this.#schedule.delete(progress);
    progress.take();
    progress.acknowledge({ outcome: "same", stored });
    return true;
  }

  /** A write that is given up after the longest time allowed carried too many shards. */
  #halveIfTooSlow(shards: number, givenUp: AbortSignal): void {
    const { clock, mostMs } = this.#options;
    const since = clock.monotonic();
    const halve = (): void => {
      const tookAll = clock.monotonic() - since >= mostMs();
      if (tookAll) this.#mostAtOnce = Math.max(1, Math.floor(shards / 2));
    };
    givenUp.addEventListener("abort", halve, { once: true });
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
    // A transaction of this worker may have come between.
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

  /** Nothing is tried any more: a lasting failure, or the scan is over. */
  #fail(thrown: unknown): void {
    const { over, onFailure } = this.#options;
    const error = toKcError(thrown, "STORE_FAILED", "setCheckpoints");
    this.#failure = error;
    for (const progress of this.#schedule) progress.fail(error);
    this.#schedule.clear();
    if (!over.aborted) onFailure(error);
  }
}
