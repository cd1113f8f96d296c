import type { Clock } from "../clock.ts";
import { sdkTarget } from "../sdk-target.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { CallTarget } from "./call-failure.ts";
import { CallRetry, type RetriedCall } from "./call-retry.ts";
import { CallSemaphore } from "./call-semaphore.ts";
import { CallSender } from "./call-sender.ts";
import { DescribedStream, type StreamDescription } from "./described-stream.ts";
import type { Distribution } from "./distribution.ts";
import type { KinesisClientLike } from "./kinesis-client-like.ts";
import type { Retention } from "./retention.ts";
import { ShardCalls } from "./shard-calls.ts";
import { ShardListing } from "./shard-listing.ts";
import type { Shard } from "./shard.ts";
import { StreamCalls } from "./stream-calls.ts";
import type { StreamId } from "./stream-id.ts";
import { Wire, type WireOption } from "./wire/wire.ts";

/**
 * With the two calls for the stream as a whole, these are the 50 sockets of the SDK's HTTP/1.1 handler.
 * More calls would wait inside the handler, where the semaphore cannot see them.
 */
const SHARD_CALLS = { regular: 40, late: 8 };

export interface StreamClientOptions {
  readonly id: StreamId;
  readonly client: KinesisClientLike;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly wire: WireOption;
}

/**
 * The calls to one stream. Transient errors are retried without limit until the signal aborts. Callers
 * get a result, the signal's reason, or an error that a retry would not fix.
 */
export class StreamClient {
  readonly id: StreamId;
  /** Limits the calls for shards. */
  readonly semaphore: CallSemaphore;
  readonly #telemetry: Telemetry;
  readonly #wire: Wire;
  readonly #sender: CallSender;
  readonly #retry: CallRetry;
  readonly #stream: DescribedStream;
  readonly #listing: ShardListing;
  #target: CallTarget;

  constructor(options: StreamClientOptions) {
    const { id, client, clock, telemetry } = options;
    const target = (): CallTarget => this.#target;
    this.id = id;
    this.#telemetry = telemetry;
    this.#wire = new Wire(options.wire, telemetry);
    this.#sender = new CallSender(client, clock);
    this.#retry = new CallRetry({ ...options, target });
    this.semaphore = new CallSemaphore(clock, SHARD_CALLS);
    const calls = new StreamCalls({ sender: this.#sender, retry: this.#retry, clock, target });
    this.#stream = new DescribedStream({ id, calls, clock, telemetry, target });
    this.#listing = new ShardListing({ ...options, calls, wasFound: () => this.#stream.wasFound });
    const stream = "StreamARN" in id ? id.StreamARN : id.StreamName;
    this.#target = { stream };
    void sdkTarget(client).then((known) => (this.#target = { stream, ...known }));
  }

  /** Where the calls go, as far as it is known. */
  get target(): CallTarget {
    return this.#target;
  }

  /** Whether partition keys decide the shard of a record. */
  get distribution(): Distribution {
    return this.#stream.distribution;
  }

  /** How long the stream keeps its records. */
  get retention(): Retention {
    return this.#stream.retention;
  }

  /** As `DescribedStream.serviceNow`. */
  serviceNow(): Date {
    return this.#stream.serviceNow();
  }

  /** As `DescribedStream.describe`. */
  describe(signal: AbortSignal): Promise<StreamDescription> {
    return this.#stream.describe(signal);
  }

  /** As `DescribedStream.refresh`. */
  refreshDescription(signal: AbortSignal): void {
    this.#stream.refresh(signal);
  }

  /** As `ShardListing.list`. */
  listShards(signal: AbortSignal): Promise<readonly Shard[]> {
    return this.#listing.list(signal);
  }

  /**
   * The starting sequence number of a shard: from the last listing, or from another one if that did not
   * name the shard. `undefined` if the stream has no such shard.
   */
  startingSequenceNumber(shardId: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#listing.startOf(shardId, signal);
  }

  /** The same from the last listing alone; `undefined` if that did not name the shard. */
  listedStartingSequenceNumber(shardId: string): string | undefined {
    return this.#listing.listedStart(shardId);
  }

  /**
   * Retries the calls for one shard until they succeed, without limit for transient errors. `attempt` is
   * one attempt: it acquires a permit and makes its calls through the `ShardCalls` that it gets.
   */
  callShard<Answer>(
    shardId: string,
    signal: AbortSignal,
    attempt: (calls: ShardCalls) => Promise<Answer>,
  ): Promise<Answer> {
    const call = this.#shardCall(shardId);
    return this.#retry.run(call, signal, async () => {
      const calls = new ShardCalls({
        stream: this.id,
        shardId,
        semaphore: this.semaphore,
        wire: this.#wire,
        signal,
        send: (operation, command, permit) => {
          call.operation = operation;
          return this.#sender.send(operation, command, permit, signal);
        },
        onAnswered: (operation) =>
          this.#telemetry.failingCalls.answered({ service: "kinesis", operation, shardId }),
      });
      try {
        return await attempt(calls);
      } finally {
        calls.release();
      }
    });
  }

  /** A shard counts as gone only if a complete listing of the same stream does not name it. */
  #shardCall(shardId: string): RetriedCall & { operation: string } {
    const mayExist = async (signal: AbortSignal): Promise<boolean> => {
      await this.#stream.checkSameStream(signal);
      const listing = await this.#listing.list(signal);
      return listing.some((shard) => shard.shardId === shardId);
    };
    return { operation: "GetRecords", shardId, mayExist };
  }
}
