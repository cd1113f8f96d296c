import { compareSequenceNumbers } from "../checkpoints/position.ts";
import { restartPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import type { Clock } from "../clock.ts";
import { describeError, KcError } from "../errors.ts";
import { callFailure } from "../kinesis/call-failure.ts";
import { classify, classifyRefusal } from "../kinesis/classify.ts";
import type { ShardCalls } from "../kinesis/shard-calls.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/failing-calls.ts";
import type { PolledReply, PollGate } from "./poll-gate.ts";
import { PageCursor } from "./record-cursor.ts";
import type { ShardAggregates } from "../kinesis/aggregates/shard-aggregates.ts";
import { ResumePoint } from "./resume-point.ts";
import type { Page, ReadStart } from "./shard-reader.ts";

/** LATEST means the application's start. If the iterator takes longer than this, it is created from the start's time. */
const MAX_LATEST_DELAY_MS = 1000;

export interface ShardPollerOptions {
  readonly shardId: string;
  readonly start: ReadStart;
  readonly application: ApplicationStart;
  readonly stream: StreamClient;
  readonly gate: PollGate;
  /** Deaggregates records; `undefined` if aggregates are delivered as they are. */
  readonly aggregates: ShardAggregates | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Polls one shard page by page with GetRecords. If an iterator expires, the next one starts at the last record of the
 * last page that was returned: never earlier, never at the tip.
 */
export class ShardPoller {
  readonly #options: ShardPollerOptions;
  readonly #resume: ResumePoint;
  readonly #call: Call;
  #iterator: string | undefined;
  /** The number of iterators that expired in a row, without a page between them. */
  #expired = 0;

  constructor(options: ShardPollerOptions) {
    this.#options = options;
    this.#resume = new ResumePoint(options.start, options.clock);
    this.#call = { service: "kinesis", operation: "GetRecords", shardId: options.shardId };
  }

  /**
   * Polls when the next page is due; returns `undefined` if retention has removed the shard from the stream. Transient
   * errors are retried internally. @throws the signal's reason, KcError
   */
  async next(signal: AbortSignal): Promise<Page | undefined> {
    const { stream, shardId, gate } = this.#options;
    await gate.untilDue(signal);
    // Right before the page, because a recent description decides which user records of it are omitted.
    stream.refreshDescription(signal);
    for (;;) {
      signal.throwIfAborted();
      try {
        const polled = await stream.callShard(shardId, signal, (calls) =>
          gate.poll(calls, () => this.#getIterator(calls), signal),
        );
        if (polled !== undefined) return this.#accept(polled);
      } catch (error) {
        signal.throwIfAborted();
        if (classify(error) === "not-found") return this.#agedOut();
        await this.#recover(error, signal);
        await gate.untilAllowed(this.#expired, signal);
      }
    }
  }

  /** Continues after the last page, which looked like the shard's end but was not. */
  reopen(): void {
    this.#iterator = undefined;
  }

  /** Continues after this record: the pages after it were dropped. */
  rewind(sequenceNumber: string): void {
    this.#iterator = undefined;
    this.#resume.rewind(sequenceNumber);
  }

  #accept({ reply, receivedAt, memory }: PolledReply): Page {
    const { shardId, aggregates } = this.#options;
    const { records, millisBehindLatest, children, nextShardIterator } = reply;
    this.#expired = 0;
    const cursor = new PageCursor(records, shardId, millisBehindLatest, aggregates);
    const lost = this.#resume.accept(reply, cursor);
    if (lost !== undefined) {
      this.#reportTrimmed("the record to continue at no longer exists", lost);
    }
    this.#iterator = nextShardIterator;
    return {
      records: cursor,
      lastSequenceNumber:
        records.length > 0 ? records.sequenceNumber(records.length - 1) : undefined,
      millisBehindLatest,
      arrivalMs: cursor.arrivalMs,
      receivedAt,
      end: nextShardIterator === undefined ? { children } : undefined,
      memory,
    };
  }

  /** Returns the iterator of the last page; without one, requests an iterator. */
  async #getIterator(calls: ShardCalls): Promise<string> {
    if (this.#iterator !== undefined) return this.#iterator;
    const resume = this.#resume;
    const { application } = this.#options;
    resume.skipEmpty();
    const inTime = (): boolean => application.sinceOpened.elapsed() <= MAX_LATEST_DELAY_MS;
    if (resume.position.ShardIteratorType === "LATEST" && inTime()) {
      const latest = await calls.getShardIterator(resume.position);
      // LATEST is requested only once: a second LATEST would skip the records in between.
      resume.moveTo(restartPosition(resume.position, application.row));
      if (inTime()) return (this.#iterator = latest);
    }
    resume.moveTo(restartPosition(resume.position, application.row));
    resume.resumed();
    return (this.#iterator = await calls.getShardIterator(resume.position));
  }

  /** A complete listing has shown that the shard no longer exists. */
  #agedOut(): undefined {
    const { shardId, telemetry } = this.#options;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error(
      "the shard is no longer part of the stream: retention removed it, whether it was read or not",
      {
        shardId,
      },
    );
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { shardId, stream, telemetry } = this.#options;
    const failure = classify(error);
    if (failure === "expired-iterator") {
      this.#iterator = undefined;
      this.#expired += 1;
      telemetry.add("iterator_refreshes", 1, { shardId });
      // A new iterator cannot have expired: something is wrong with the service.
      if (this.#expired > 1) telemetry.failingCalls.failed(this.#call, error);
      return;
    }
    const sequenceNumber = this.#resume.position.StartingSequenceNumber;
    if (failure === "invalid-argument" && this.#iterator === undefined && sequenceNumber) {
      await this.#checkTrimmed(sequenceNumber, error, signal);
      if (this.#resume.trimmed()) {
        this.#reportTrimmed("the position to continue from was trimmed", sequenceNumber);
      }
      return;
    }
    if (KcError.is(error)) throw error;
    const operation = this.#iterator === undefined ? "GetShardIterator" : "GetRecords";
    throw callFailure({ operation, shardId, target: stream.target, triedForMs: 0 }, error);
  }

  #reportTrimmed(what: string, sequenceNumber: string): void {
    const { shardId, telemetry } = this.#options;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error(
      `${what}: records after it may have been trimmed unread. Reading continues at the oldest ` +
        "remaining record",
      { shardId, sequenceNumber },
    );
  }

  /** Returns if the position was trimmed. @throws KcError if it does not belong to this shard */
  async #checkTrimmed(sequenceNumber: string, error: unknown, signal: AbortSignal): Promise<void> {
    const { shardId } = this.#options;
    const message = describeError(error);
    const refusal = classifyRefusal(message);
    if (refusal === "trimmed") return;
    if (refusal === "unknown" && (await this.#isOfShard(sequenceNumber, signal))) return;
    const why = {
      "another-shard": "it belongs to another shard",
      "another-stream": "the stream was deleted and recreated, or it belongs to another stream",
      unknown: "it does not belong to this shard",
    }[refusal];
    throw new KcError(
      refusal === "another-stream" ? "STREAM_RECREATED" : "CHECKPOINT_REFUSED",
      `${shardId}: reading cannot continue after ${sequenceNumber}: ${why} (${message}). Check that ` +
        `application and stream are the right ones. To abandon this position, call the store's ` +
        `resetCheckpoint for this shard.`,
      { shardId, cause: error },
    );
  }

  /**
   * Whether the sequence number is not below the shard's first one in the listing. If such a number is rejected, it was
   * trimmed.
   */
  async #isOfShard(sequenceNumber: string, signal: AbortSignal): Promise<boolean> {
    const { stream, shardId } = this.#options;
    const listing = await stream.listShards(signal);
    const first = listing.find((shard) => shard.shardId === shardId)?.startingSequenceNumber;
    return first !== undefined && compareSequenceNumbers(sequenceNumber, first) >= 0;
  }
}
