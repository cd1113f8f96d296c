import {
  DescribeStreamSummaryCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  type DescribeStreamSummaryCommandOutput,
  type GetRecordsCommandOutput,
  type GetShardIteratorCommandInput,
  type ListShardsCommandOutput,
} from "@aws-sdk/client-kinesis";
import pLimit from "p-limit";
import { backoffMs } from "../backoff.ts";
import { sleep, type Clock } from "../clock.ts";
import { callWithin } from "../deadline.ts";
import { KcError } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { BACKOFF, CallRetry, type RetriedCall } from "./call-retry.ts";
import { targetOf } from "./call-target.ts";
import { classify } from "./classify.ts";
import type { RecordsPage } from "./records-page.ts";
import { fromListing, type Shard } from "./shard.ts";
import { listedShards, streamSummary, UnexpectedReplyError } from "./reply-shapes.ts";
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

/** The stream as every call names it: by name, or by ARN where the user gave one. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

export interface StreamDescription {
  readonly streamARN: string;
  /** Some emulators do not tell it. */
  readonly creationTimestamp: Date | undefined;
}

export type IteratorPosition = Pick<
  GetShardIteratorCommandInput,
  "ShardIteratorType" | "StartingSequenceNumber" | "Timestamp"
>;

/** Goes around one try of a call. */
export type Attempt<Output, Answer> = (send: () => Promise<Output>) => Promise<Answer>;

const CALL_TIMEOUT_MS = 30_000;
/** Below the 50 sockets of the SDK's HTTP/1.1 handler, which others may use too. */
const MAX_CALLS_AT_ONCE = 40;
/**
 * The calls of one stream. Passing errors are retried here, without limit, until the signal
 * aborts; what comes out is a result, the signal's abort, or an error that a retry would not mend.
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
  /** The service has told us of the stream: that it is not there is news, and is doubted. */
  #wasThere = false;
  readonly #slots = pLimit(MAX_CALLS_AT_ONCE);
  /** Wall-clock difference: the service's minus this machine's, from the last reply that told. */
  #serviceOffsetMs = 0;
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
    const stream = "StreamARN" in options.id ? options.id.StreamARN : options.id.StreamName;
    this.#target = { stream };
    void targetOf(options.client, stream).then((target) => (this.#target = target));
  }

  /** Where the calls go, as far as it is known. */
  get target(): CallTarget {
    return this.#target;
  }

  /** The service's time of day as far as its replies have told; this machine's until then. */
  serviceNow(): Date {
    return new Date(this.#clock.now() + this.#serviceOffsetMs);
  }

  async describe(signal: AbortSignal): Promise<StreamDescription> {
    const command = new DescribeStreamSummaryCommand(this.id);
    this.#readServiceTime(command);
    const call = this.#onStream("DescribeStreamSummary");
    const summary = await this.#call(
      call,
      command,
      signal,
      ({ StreamDescriptionSummary }: DescribeStreamSummaryCommandOutput) =>
        streamSummary(StreamDescriptionSummary),
    ).catch((error: unknown) => {
      throw this.#asFailure("DescribeStreamSummary", error, signal);
    });
    this.#wasThere = true;
    return {
      streamARN: summary.StreamARN ?? "",
      creationTimestamp: summary.StreamCreationTimestamp,
    };
  }

  /** One complete, unfiltered listing; a token that expires on the way makes it start over. */
  async listShards(signal: AbortSignal): Promise<readonly Shard[]> {
    let shards: Shard[] = [];
    let token: string | undefined;
    let restarts = 0;
    for (;;) {
      try {
        const page = await this.#call(
          this.#onStream("ListShards"),
          // A token stands for the stream: the service refuses a name or an ARN beside it.
          new ListShardsCommand(token === undefined ? this.id : { NextToken: token }),
          signal,
          ({ Shards, NextToken }: ListShardsCommandOutput) => ({
            shards: listedShards(Shards).map(fromListing),
            token: NextToken ?? undefined,
          }),
        );
        shards.push(...page.shards);
        token = page.token;
        if (token !== undefined) continue;
        this.#firstNumbers = new Map(
          shards.map((one) => [one.shardId, one.startingSequenceNumber]),
        );
        return shards;
      } catch (error) {
        if (classify(error) !== "expired-token") throw this.#asFailure("ListShards", error, signal);
        this.#telemetry.warn("a listing of the shards took too long; it starts over");
        shards = [];
        token = undefined;
        restarts += 1;
        await sleep(this.#clock, backoffMs(restarts, BACKOFF, this.#random), signal);
      }
    }
  }

  /**
   * The number with which a shard's records begin, from the last listing that was made for whatever
   * reason, or from another one if that did not name the shard. Undefined = the stream has no such shard.
   */
  async firstNumberOf(shardId: string, signal: AbortSignal): Promise<string | undefined> {
    if (!this.#firstNumbers.has(shardId)) await this.listShards(signal);
    return this.#firstNumbers.get(shardId);
  }

  async getShardIterator(
    shardId: string,
    position: IteratorPosition,
    signal: AbortSignal,
  ): Promise<string> {
    const command = new GetShardIteratorCommand({ ...this.id, ShardId: shardId, ...position });
    return this.#call(
      this.#onShard("GetShardIterator", shardId),
      command,
      signal,
      ({ ShardIterator }: { ShardIterator?: string }) => {
        if (ShardIterator) return ShardIterator;
        throw new UnexpectedReplyError("the reply of GetShardIterator has no iterator");
      },
    );
  }

  /** `attempt` goes around each try: it waits for its turn, and counts what the try costs. */
  async getRecords<Answer>(
    shardId: string,
    iterator: string,
    limit: number,
    signal: AbortSignal,
    attempt: Attempt<RecordsPage, Answer>,
  ): Promise<Answer> {
    const arn = "StreamARN" in this.id ? this.id : {};
    const input = { ShardIterator: iterator, Limit: limit, ...arn };
    const send = (command: object): Promise<GetRecordsCommandOutput> =>
      this.#send("GetRecords", command, signal);
    return this.#retry.run(this.#onShard("GetRecords", shardId), signal, () =>
      attempt(() => this.#wire.getRecords(input, send)),
    );
  }

  #onStream(operation: string): RetriedCall {
    return { operation, doubtsNotFound: () => this.#wasThere };
  }

  /** A shard is gone only once a complete listing no longer names it. */
  #onShard(operation: string, shardId: string): RetriedCall & { readonly shardId: string } {
    const doubtsNotFound = async (signal: AbortSignal): Promise<boolean> => {
      const listing = await this.listShards(signal);
      return listing.some((shard) => shard.shardId === shardId);
    };
    return { operation, shardId, doubtsNotFound };
  }

  /** What a call that concerns the stream as a whole failed with, told as the stream's. */
  #asFailure(operation: string, error: unknown, signal: AbortSignal): unknown {
    if (KcError.is(error) || (signal.aborted && error === signal.reason)) return error;
    return callFailure({ operation, target: this.#target, triedForMs: 0 }, error);
  }

  /** `read` takes the answer out of a reply; a reply that is none is a failed try. */
  #call<Output, Answer>(
    call: RetriedCall,
    command: object,
    signal: AbortSignal,
    read: (output: Output) => Answer,
  ): Promise<Answer> {
    return this.#retry.run(call, signal, async () =>
      read(await this.#send(call.operation, command, signal)),
    );
  }

  /** One try: in its turn, and within its time. */
  #send<Output>(operation: string, command: object, signal: AbortSignal): Promise<Output> {
    return this.#slots(() =>
      callWithin<Output>((abortSignal) => this.#client.send(command, { abortSignal }), {
        clock: this.#clock,
        signal,
        timeoutMs: CALL_TIMEOUT_MS,
        onTimeout: () => timeoutError(operation),
      }),
    );
  }

  /** Reads the reply's Date header, through the one hook that every SDK command has. */
  #readServiceTime(command: DescribeStreamSummaryCommand): void {
    command.middlewareStack.add(
      (next) => async (args) => {
        const output = await next(args);
        const { headers } = output.response as { headers?: Record<string, string> };
        const served = Date.parse(headers?.["date"] ?? "");
        if (!Number.isNaN(served)) this.#serviceOffsetMs = served - this.#clock.now();
        return output;
      },
      { step: "deserialize", name: "kcServiceTime", override: true },
    );
  }
}

function timeoutError(operation: string): Error {
  const error = new Error(`${operation} did not answer within ${CALL_TIMEOUT_MS} ms`);
  error.name = "TimeoutError";
  return error;
}

/** `orders`, of `orders` or `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. */
export function streamNameOf(id: StreamId): string {
  return "StreamName" in id ? id.StreamName : id.StreamARN.slice(id.StreamARN.indexOf("/") + 1);
}
