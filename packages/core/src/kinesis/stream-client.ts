import {
  DescribeStreamSummaryCommand,
  type DescribeStreamSummaryCommandOutput,
  type StreamDescriptionSummary,
} from "@aws-sdk/client-kinesis";
import { CallLimit } from "../call-limit.ts";
import { sleep, type Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import { retry } from "../retry.ts";
import { sdkTarget } from "../sdk-target.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { CallLine } from "./call-line.ts";
import { BACKOFF, CallRetry, type RetriedCall } from "./call-retry.ts";
import { Caller, type Turn } from "./call-turn.ts";
import { classify } from "./classify.ts";
import { Distribution } from "./distribution.ts";
import { ServiceClock } from "./service-clock.ts";
import { ShardCalls } from "./shard-calls.ts";
import { readListing } from "./shard-listing.ts";
import type { Shard } from "./shard.ts";
import { streamSummary } from "./reply-shapes.ts";
import { Retention } from "./retention.ts";
import { isOneCreation, type StreamId } from "./stream-id.ts";
import { withoutReply } from "./unquoted-reply.ts";
import { Wire, type WireOption } from "./wire/wire.ts";

/**
 * The part of the SDK's `KinesisClient` that is used. Structural, so that another copy of the SDK,
 * or `FakeKinesis` of `@kc/emulator`, fits.
 */
export interface KinesisClientLike {
  // The SDK's `send` is overloaded for each command; its callers below name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

export interface StreamDescription {
  readonly streamARN: string;
  /** Some emulators do not report it. */
  readonly creationTimestamp: Date | undefined;
}

/** A call fails after so long without any byte from the service. */
const CALL_TIMEOUT_MS = 30_000;
/** Together the 50 sockets of the SDK's HTTP/1.1 handler, behind which calls would queue unseen. */
const SHARD_CALLS = { prompt: 40, late: 8 };
const STREAM_CALLS = { prompt: 2, late: 0 };

/**
 * The calls of one stream. It retries passing errors without limit until the signal aborts. Callers
 * get a result, the signal's reason, or an error that a retry would not fix.
 */
export class StreamClient {
  readonly id: StreamId;
  readonly #client: KinesisClientLike;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #wire: Wire;
  readonly #retry: CallRetry;
  #target: CallTarget;
  /** The service has described the stream. A reply that it does not exist is doubted from then on. */
  #wasThere = false;
  /** As the service reported it first. */
  #createdAt: Date | undefined;
  /** The calls for shards; those for the stream as a whole do not wait behind them. */
  readonly line: CallLine;
  /** How records come to their shards. */
  readonly distribution: Distribution;
  /** How long the stream keeps them. */
  readonly retention: Retention;
  readonly #streamLine: CallLine;
  readonly #serviceClock: ServiceClock;
  /** Of the shards in the last complete listing. */
  #firstNumbers: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: {
    readonly id: StreamId;
    readonly client: KinesisClientLike;
    readonly clock: Clock;
    readonly random: () => number;
    readonly telemetry: Telemetry;
    readonly wire: WireOption;
  }) {
    this.id = options.id;
    this.#client = options.client;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#telemetry = options.telemetry;
    this.#wire = new Wire(options.wire, options.telemetry);
    this.#retry = new CallRetry({ ...options, target: () => this.#target });
    this.#serviceClock = new ServiceClock(options.clock);
    this.distribution = new Distribution(options.clock);
    this.retention = new Retention(options.clock);
    this.line = new CallLine(options.clock, SHARD_CALLS);
    this.#streamLine = new CallLine(options.clock, STREAM_CALLS);
    const stream = "StreamARN" in options.id ? options.id.StreamARN : options.id.StreamName;
    this.#target = { stream };
    void sdkTarget(options.client).then((target) => (this.#target = { stream, ...target }));
  }

  /** Where the calls go, as far as it is known. */
  get target(): CallTarget {
    return this.#target;
  }

  /** The service's time of day, as far as its replies have reported it. */
  serviceNow(): Date {
    return this.#serviceClock.now();
  }

  async describe(signal: AbortSignal): Promise<StreamDescription> {
    const call = this.#onStream("DescribeStreamSummary");
    const command = this.#describeCommand();
    const summary = await this.#call(call, command, signal, readSummary).catch((error: unknown) => {
      throw this.#asFailure("DescribeStreamSummary", error, signal);
    });
    return this.#described(summary);
  }

  /**
   * Describes the stream again when that is due, because its retention may have changed. Reading does not
   * wait for it, and a call that fails is not tried again until the next one is due.
   */
  refreshRetention(signal: AbortSignal): void {
    if (!this.retention.takeDue()) return;
    const command = this.#describeCommand();
    this.#once("DescribeStreamSummary", command, signal, readSummary).then(
      (summary) => void this.#described(summary),
      (error: unknown) => {
        if (signal.aborted) return;
        this.#telemetry.debug("the retention of the stream was not refreshed", { error });
      },
    );
  }

  /** One complete, unfiltered listing. It starts over if its token expires on the way. */
  async listShards(signal: AbortSignal): Promise<readonly Shard[]> {
    const call = this.#onStream("ListShards");
    let restarts = 0;
    const shards = await retry({
      signal,
      backoff: BACKOFF,
      random: this.#random,
      attempt: () =>
        readListing(this.id, (command, read) => this.#call(call, command, signal, read)),
      onFailure: (error) => {
        if (classify(error) !== "expired-token") throw this.#asFailure("ListShards", error, signal);
        this.#telemetry.warn("a listing of the shards took too long; it starts over");
        return (restarts += 1);
      },
      pause: (ms) => sleep(this.#clock, ms, signal),
    });
    this.#firstNumbers = new Map(shards.map((one) => [one.shardId, one.startingSequenceNumber]));
    return shards;
  }

  /**
   * The number with which a shard's records begin, from the last listing that was made for whatever
   * reason, or from another one if that did not name the shard. Undefined = the stream has no such shard.
   */
  async firstNumberOf(shardId: string, signal: AbortSignal): Promise<string | undefined> {
    if (!this.#firstNumbers.has(shardId)) await this.listShards(signal);
    return this.listedFirstNumberOf(shardId);
  }

  /** The same from the last listing alone; undefined = it did not name the shard, or none was made. */
  listedFirstNumberOf(shardId: string): string | undefined {
    return this.#firstNumbers.get(shardId);
  }

  /**
   * Tries one shard's calls until they pass, without limit for passing errors. `attempt` is one try:
   * it makes its calls through what it is handed, and waits there for its turn.
   */
  callShard<Answer>(
    shardId: string,
    signal: AbortSignal,
    attempt: (calls: ShardCalls) => Promise<Answer>,
  ): Promise<Answer> {
    const call = this.#onShard(shardId);
    return this.#retry.run(call, signal, async () => {
      const calls = new ShardCalls({
        stream: this.id,
        shardId,
        line: this.line,
        wire: this.#wire,
        signal,
        send: (operation, command, turn) => {
          call.operation = operation;
          return this.#send(operation, command, turn, signal);
        },
        answered: (operation) =>
          this.#telemetry.troubles.answered({ service: "kinesis", operation, shardId }),
      });
      try {
        return await attempt(calls);
      } finally {
        calls.end();
      }
    });
  }

  #onStream(operation: string): RetriedCall {
    return { operation, doubtsNotFound: () => this.#wasThere };
  }

  #describeCommand(): DescribeStreamSummaryCommand {
    const command = new DescribeStreamSummaryCommand(this.id);
    this.#serviceClock.readFrom(command);
    return command;
  }

  #described(summary: StreamDescriptionSummary): StreamDescription {
    this.#wasThere = true;
    this.distribution.described(summary.RecordDistributionStrategy);
    this.retention.described(summary.RetentionPeriodHours);
    const creationTimestamp = summary.StreamCreationTimestamp ?? undefined;
    this.#createdAt ??= creationTimestamp;
    return { streamARN: summary.StreamARN ?? "", creationTimestamp };
  }

  /** A shard is gone only once a complete listing of the same stream no longer names it. */
  #onShard(shardId: string): RetriedCall & { operation: string } {
    const doubtsNotFound = async (signal: AbortSignal): Promise<boolean> => {
      await this.#refuseAnother(signal);
      const listing = await this.listShards(signal);
      return listing.some((shard) => shard.shardId === shardId);
    };
    return { operation: "GetRecords", shardId, doubtsNotFound };
  }

  /** Shards of a stream that was recreated have the names of those that are read. */
  async #refuseAnother(signal: AbortSignal): Promise<void> {
    const { creationTimestamp } = await this.describe(signal);
    if (isOneCreation(this.#createdAt, creationTimestamp)) return;
    throw new KcError(
      "STREAM_RECREATED",
      `stream ${this.#target.stream} was deleted and recreated at ${creationTimestamp?.toISOString()} ` +
        `while it was read: checkpoints of the earlier one mean nothing here. Use another application ` +
        `name, or delete this application's rows.`,
    );
  }

  /** The error of a call for the stream as a whole. */
  #asFailure(operation: string, error: unknown, signal: AbortSignal): unknown {
    if (KcError.is(error) || (signal.aborted && error === signal.reason)) return error;
    return callFailure({ operation, target: this.#target, triedForMs: 0 }, error);
  }

  /** `read` takes the answer out of a reply. What it throws is a failed try. */
  #call<Output, Answer>(
    call: RetriedCall,
    command: object,
    signal: AbortSignal,
    read: (output: Output) => Answer,
  ): Promise<Answer> {
    return this.#retry.run(call, signal, () => this.#once(call.operation, command, signal, read));
  }

  /** One try. */
  async #once<Output, Answer>(
    operation: string,
    command: object,
    signal: AbortSignal,
    read: (output: Output) => Answer,
  ): Promise<Answer> {
    const turn = await this.#streamLine.enter(new Caller(), signal);
    try {
      return read(await this.#send(operation, command, turn, signal));
    } finally {
      turn.leave();
    }
  }

  /** One call, in its turn: it fails after a while without a sign of life. */
  async #send<Output>(
    operation: string,
    command: object,
    turn: Turn,
    signal: AbortSignal,
  ): Promise<Output> {
    const limit = new CallLimit({
      clock: this.#clock,
      timeoutMs: CALL_TIMEOUT_MS,
      onTimeout: () => timeoutError(operation),
      signals: [signal],
    });
    try {
      turn.called({ heard: () => limit.renew(), givenUp: (error) => limit.end(error) });
      const work: Promise<Output> = this.#client.send(command, limit.options);
      return await limit.wait(work);
    } catch (error) {
      throw withoutReply(error);
    } finally {
      if (!limit.isOver) turn.heard();
      turn.ended();
      limit.stop();
    }
  }
}

function readSummary(output: DescribeStreamSummaryCommandOutput): StreamDescriptionSummary {
  return streamSummary(output.StreamDescriptionSummary);
}

function timeoutError(operation: string): Error {
  const error = new Error(`${operation} did not answer within ${CALL_TIMEOUT_MS} ms`);
  error.name = "TimeoutError";
  return error;
}
