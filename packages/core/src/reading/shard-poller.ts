import { compareSequenceNumbers } from "../checkpoints/position.ts";
import { restartPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import type { Clock } from "../clock.ts";
import { describeError, KcError } from "../errors.ts";
import { callFailure } from "../kinesis/call-failure.ts";
import { classify, classifyRefusal } from "../kinesis/classify.ts";
import type { ShardCalls } from "../kinesis/shard-calls.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/troubles.ts";
import type { PolledReply, PollGate } from "./poll-gate.ts";
import { PageCursor } from "./record-cursor.ts";
import type { ShardAggregates } from "../kinesis/aggregates/shard-aggregates.ts";
import { ResumePoint } from "./resume-point.ts";
import type { Page, ReadStart } from "./shard-reader.ts";

/** LATEST means the start; an iterator that comes so much later is made from the start's time. */
const LATEST_MAY_TAKE_MS = 1000;

export interface ShardPollerOptions {
  readonly shardId: string;
  readonly start: ReadStart;
  readonly application: ApplicationStart;
  readonly stream: StreamClient;
  readonly gate: PollGate;
  /** Takes aggregates apart; undefined = they are delivered as they are. */
  readonly aggregates: ShardAggregates | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Polls one shard page by page with GetRecords. A page that was returned is accepted: an iterator
 * that expires is recreated at that page's last record, never further back, never at the tip.
 */
export class ShardPoller {
  readonly #options: ShardPollerOptions;
  readonly #resume: ResumePoint;
  readonly #call: Call;
  #iterator: string | undefined;
  /** Iterators that expired one after another without a page between them. */
  #refused = 0;

  constructor(options: ShardPollerOptions) {
    this.#options = options;
    this.#resume = new ResumePoint(options.start, options.clock);
    this.#call = { service: "kinesis", operation: "GetRecords", shardId: options.shardId };
  }

  /**
   * The next page, when it is time for one; undefined when retention has taken the shard off the
   * stream. Passing errors are retried inside. @throws the signal's reason, KcError
   */
  async next(signal: AbortSignal): Promise<Page | undefined> {
    const { stream, shardId, gate } = this.#options;
    if (stream.distribution.takeWanted()) await stream.describe(signal);
    stream.refreshRetention(signal);
    await gate.untilDue(signal);
    for (;;) {
      signal.throwIfAborted();
      try {
        const polled = await stream.callShard(shardId, signal, (calls) =>
          gate.poll(calls, () => this.#makeIterator(calls), signal),
        );
        if (polled !== undefined) return this.#accept(polled);
      } catch (error) {
        signal.throwIfAborted();
        if (classify(error) === "not-found") return this.#agedOut();
        await this.#recover(error, signal);
        await gate.untilAllowed(this.#refused, signal);
      }
    }
  }

  /** What looked like the shard's end was not: the next iterator is made where reading stopped. */
  reopen(): void {
    this.#iterator = undefined;
  }

  /** What was read after this record was given up: the next page continues after it. */
  rewind(sequenceNumber: string): void {
    this.#iterator = undefined;
    this.#resume.rewind(sequenceNumber);
  }

  #accept({ reply, receivedAt, memory }: PolledReply): Page {
    const { shardId, aggregates } = this.#options;
    const { records, millisBehindLatest, children, nextShardIterator } = reply;
    this.#refused = 0;
    const cursor = new PageCursor(records, shardId, millisBehindLatest, aggregates);
    const lost = this.#resume.accept(reply, cursor);
    if (lost !== undefined) {
      this.#reportTrimmed("the record to continue at is no longer there", lost);
    }
    this.#iterator = nextShardIterator;
    return {
      records: cursor,
      lastSequenceNumber:
        records.length > 0 ? records.sequenceNumber(records.length - 1) : undefined,
      millisBehindLatest,
      receivedAt,
      end: nextShardIterator === undefined ? { children } : undefined,
      memory,
    };
  }

  async #makeIterator(calls: ShardCalls): Promise<string> {
    if (this.#iterator !== undefined) return this.#iterator;
    const resume = this.#resume;
    const { application } = this.#options;
    resume.leaveOutEmpty();
    const inTime = (): boolean => application.sinceOpened.elapsed() <= LATEST_MAY_TAKE_MS;
    if (resume.position.ShardIteratorType === "LATEST" && inTime()) {
      const latest = await calls.getShardIterator(resume.position);
      // It is asked for once: what comes after it would be jumped over.
      resume.moveTo(restartPosition(resume.position, application.row));
      if (inTime()) return (this.#iterator = latest);
    }
    resume.moveTo(restartPosition(resume.position, application.row));
    resume.resumed();
    return (this.#iterator = await calls.getShardIterator(resume.position));
  }

  /** The stream client has asked a complete listing. */
  #agedOut(): undefined {
    const { shardId, telemetry } = this.#options;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error("the shard is no longer part of the stream: retention took it, read or not", {
      shardId,
    });
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { shardId, stream, telemetry } = this.#options;
    const failure = classify(error);
    if (failure === "expired-iterator") {
      this.#iterator = undefined;
      this.#refused += 1;
      telemetry.add("iterator_refreshes", 1, { shardId });
      // One that was just made has not expired: something is wrong with the service.
      if (this.#refused > 1) telemetry.troubles.failed(this.#call, error);
      return;
    }
    const sequenceNumber = this.#resume.position.StartingSequenceNumber;
    if (failure === "invalid-argument" && this.#iterator === undefined && sequenceNumber) {
      await this.#refuseUnlessTrimmed(sequenceNumber, error, signal);
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
      `${what}: what followed it may have been trimmed unread, and reading goes on at the oldest ` +
        "record left",
      { shardId, sequenceNumber },
    );
  }

  /** Returns for a position that was trimmed. @throws KcError for one that is not this shard's */
  async #refuseUnlessTrimmed(
    sequenceNumber: string,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    const { shardId } = this.#options;
    const message = describeError(error);
    const refused = classifyRefusal(message);
    if (refused === "trimmed") return;
    if (refused === "unknown" && (await this.#isOfShard(sequenceNumber, signal))) return;
    const why = {
      "another-shard": "it belongs to another shard",
      "another-stream": "the stream was deleted and recreated, or it belongs to another stream",
      unknown: "it does not belong to this shard",
    }[refused];
    throw new KcError(
      refused === "another-stream" ? "STREAM_RECREATED" : "CHECKPOINT_REFUSED",
      `${shardId}: reading cannot go on after ${sequenceNumber}: ${why} (${message}). Check that ` +
        `application and stream are the right ones. To give this position up, call the store's ` +
        `resetCheckpoint for this shard.`,
      { shardId, cause: error },
    );
  }

  /** A shard's numbers begin with the one in its listing: what is refused from there on was trimmed. */
  async #isOfShard(sequenceNumber: string, signal: AbortSignal): Promise<boolean> {
    const { stream, shardId } = this.#options;
    const listing = await stream.listShards(signal);
    const first = listing.find((shard) => shard.shardId === shardId)?.startingSequenceNumber;
    return first !== undefined && compareSequenceNumbers(sequenceNumber, first) >= 0;
  }
}
