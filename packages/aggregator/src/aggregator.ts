import { DescribeStreamSummaryCommand, ListShardsCommand } from "@aws-sdk/client-kinesis";
import type { DescribeStreamSummaryOutput, ListShardsOutput, Shard } from "@aws-sdk/client-kinesis";
import { setTimeout } from "node:timers/promises";
import { aggregateBy, checkMaxBytes, type StreamRecord } from "./aggregate.ts";
import { PutError } from "./put-error.ts";
import {
  firstRequest,
  putRecords,
  type KinesisClientLike,
  type PutOutcome,
  type StreamId,
} from "./put-records.ts";
import { hashKeyOf, ShardMap } from "./shard-map.ts";
import { checkUserRecord, type UserRecord } from "./user-record.ts";

/** Options of an `Aggregator`. */
export interface AggregatorOptions {
  /** A `KinesisClient`. The aggregator never destroys it. */
  readonly client: KinesisClientLike;
  /** Name or ARN of the stream. */
  readonly stream: string;
  /** As in `AggregateOptions`. @default 51200 */
  readonly maxBytes?: number;
  /**
   * `put` fails after this many consecutive requests of which no record was accepted, or consecutive listings that lack
   * a shard. @default 10
   */
  readonly maxAttempts?: number;
  /** Base of the backoff between attempts in milliseconds: doubled with each, with full jitter. @default 100 */
  readonly minDelayMs?: number;
  /** Maximum of the backoff, in milliseconds. @default 5000 */
  readonly maxDelayMs?: number;
}

/**
 * How long the shards are kept after the last put, and the automatic distribution after its description. In the
 * meantime the stream may have been recreated with other shards of the same ids, or switched to distribution by keys:
 * replies show neither.
 */
const MAX_AGE_MS = 60_000;

/**
 * Puts user records into a stream as aggregates, by shard. Between calls it keeps only the stream's shards: there is no
 * queue and no timer. Rejected records are put again. After a reshard, an aggregate may arrive at a shard to which some
 * of its user records do not belong. Consumers leave these out, so they are put again too, as in the KPL.
 */
export class Aggregator {
  readonly #options: Required<AggregatorOptions>;
  readonly #stream: StreamId;
  /** Undefined = not listed yet; "any" = records are not distributed by key. */
  #shards: ShardMap | "any" | undefined;
  /** When the stream was last described, by the monotonic clock, in milliseconds. */
  #describedAt = 0;
  /** When the last PutRecords was answered, by the same clock. */
  #putAt = 0;

  /** @throws TypeError or RangeError for a wrong option */
  constructor(options: AggregatorOptions) {
    const { client, stream, maxBytes = 51_200, maxAttempts = 10 } = options;
    const { minDelayMs = 100, maxDelayMs = 5000 } = options;
    if (typeof client?.send !== "function") throw new TypeError("client must be a KinesisClient");
    if (typeof stream !== "string" || stream === "") {
      throw new TypeError("stream must be a stream's name or ARN");
    }
    checkMaxBytes(maxBytes);
    if (!Number.isInteger(maxAttempts) || maxAttempts < 1) {
      throw new RangeError("maxAttempts must be a whole number of at least 1");
    }
    if (!(minDelayMs >= 0 && maxDelayMs >= minDelayMs)) {
      throw new RangeError("minDelayMs and maxDelayMs must be milliseconds, the second not less");
    }
    this.#options = { client, stream, maxBytes, maxAttempts, minDelayMs, maxDelayMs };
    this.#stream = stream.startsWith("arn:") ? { StreamARN: stream } : { StreamName: stream };
  }

  /**
   * Puts records, and resolves when the stream has acknowledged all of them. Records of a key keep their order, unless
   * some are rejected or the shards change meanwhile.
   * @throws PutError with the records that were not acknowledged; TypeError for an invalid record
   */
  async put(
    records: readonly UserRecord[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    for (const [index, record] of records.entries()) checkUserRecord(record, index);
    let unpacked = records;
    const waiting: StreamRecord[] = [];
    let failures = 0;
    try {
      for (;;) {
        signal?.throwIfAborted();
        // Records to put again go behind the waiting ones.
        waiting.push(...(await this.#pack(unpacked, signal)));
        unpacked = [];
        if (waiting.length === 0) return;
        const request = firstRequest(waiting);
        const outcomes = await putRecords(this.#options.client, this.#stream, request, signal);
        this.#putAt = performance.now();
        const refused = request.filter((_, i) => "errorCode" in outcomes[i]!);
        waiting.splice(0, request.length, ...refused);
        const elsewhere = arrivedElsewhere(request, outcomes);
        unpacked = elsewhere.flatMap(({ records: inside }) => inside);
        if (elsewhere.length > 0) unpacked = await this.#misplaced(elsewhere, signal);
        failures = refused.length === request.length ? failures + 1 : 0;
        if (failures === this.#options.maxAttempts) throw refusal(outcomes);
        if (refused.length > 0) await this.#pause(failures, signal);
      }
    } catch (error) {
      this.#shards = undefined;
      const left = [...waiting.flatMap(({ records: inside }) => inside), ...unpacked];
      throw new PutError(`${left.length} records were not put`, left, { cause: error });
    }
  }

  async #pack(
    records: readonly UserRecord[],
    signal: AbortSignal | undefined,
  ): Promise<readonly StreamRecord[]> {
    if (records.length === 0) return [];
    const since = this.#shards === "any" ? this.#describedAt : this.#putAt;
    if (performance.now() - since >= MAX_AGE_MS) this.#shards = undefined;
    const shards = this.#shards ?? (await this.#listCompletely([], signal));
    return aggregateBy(records, shards === "any" ? undefined : shards, this.#options.maxBytes);
  }

  /** The user records that do not belong to the shards at which they arrived. */
  async #misplaced(
    elsewhere: readonly Arrived[],
    signal: AbortSignal | undefined,
  ): Promise<readonly UserRecord[]> {
    const shards = await this.#listCompletely(elsewhere, signal);
    if (shards === "any") return [];
    // An aggregate arrived where its key does not belong: the distribution is automatic. Not every SDK reports that.
    if (elsewhere.some(({ shardId, hashKey }) => !shards.has(shardId, hashKey))) {
      this.#shards = "any";
      return [];
    }
    return elsewhere.flatMap(({ shardId, records }) =>
      records.filter((record) => !shards.has(shardId, hashKeyOf(record))),
    );
  }

  /**
   * Lists the shards. Listings lag, so this is repeated until a listing has an open shard for every hash key, and names
   * all shards that accepted records. An incomplete listing is not kept.
   */
  async #listCompletely(
    elsewhere: readonly Arrived[],
    signal: AbortSignal | undefined,
  ): Promise<ShardMap | "any"> {
    this.#shards = undefined;
    for (let attempt = 1; ; attempt += 1) {
      const shards = await this.#listShards(signal);
      const missing = shards === "any" ? undefined : missingIn(shards, elsewhere);
      if (missing === undefined) return (this.#shards = shards);
      if (attempt === this.#options.maxAttempts) throw new Error(`ListShards ${missing}`);
      await this.#pause(attempt, signal);
    }
  }

  async #listShards(signal: AbortSignal | undefined): Promise<ShardMap | "any"> {
    const { client } = this.#options;
    const options = signal ? { abortSignal: signal } : {};
    this.#describedAt = performance.now();
    const summary = new DescribeStreamSummaryCommand(this.#stream);
    const { StreamDescriptionSummary: description }: DescribeStreamSummaryOutput =
      await client.send(summary, options);
    if (description?.RecordDistributionStrategy === "AUTO") return "any";
    const shards: Shard[] = [];
    let token: string | undefined;
    do {
      const command = new ListShardsCommand(token ? { NextToken: token } : this.#stream);
      const page: ListShardsOutput = await client.send(command, options);
      shards.push(...(page.Shards ?? []));
      token = page.NextToken;
    } while (token);
    return new ShardMap(shards);
  }

  async #pause(failures: number, signal: AbortSignal | undefined): Promise<void> {
    const { minDelayMs, maxDelayMs } = this.#options;
    const most = Math.min(maxDelayMs, minDelayMs * 2 ** failures);
    await setTimeout(Math.random() * most, undefined, signal ? { signal } : {});
  }
}

/** An acknowledged aggregate. */
interface Arrived {
  readonly shardId: string;
  /** The hash key with which it was put. */
  readonly hashKey: bigint;
  readonly records: readonly UserRecord[];
}

/** The aggregates that arrived at another shard than intended. A single record is always in the right shard. */
function arrivedElsewhere(
  request: readonly StreamRecord[],
  outcomes: readonly PutOutcome[],
): readonly Arrived[] {
  return request.flatMap(({ shardId: expected, records }, i) => {
    const outcome = outcomes[i]!;
    if (expected === undefined || records.length === 1 || !("shardId" in outcome)) return [];
    const { shardId } = outcome;
    return shardId === expected ? [] : [{ shardId, hashKey: hashKeyOf(records[0]!), records }];
  });
}

/** Describes what the listing lacks, as the predicate of a sentence; undefined = it is complete. */
function missingIn(shards: ShardMap, elsewhere: readonly Arrived[]): string | undefined {
  if (!shards.hasAllHashKeys) return "names no open shard for some hash keys";
  const unknown = elsewhere.find(({ shardId }) => !shards.names(shardId));
  return unknown && `does not name ${unknown.shardId}, which accepted records`;
}

/** The error of a request of which no record was accepted. */
function refusal(outcomes: readonly PutOutcome[]): Error {
  const [first] = outcomes as readonly { errorCode: string; errorMessage: string }[];
  return new Error(`PutRecords: ${first?.errorCode}: ${first?.errorMessage}`);
}
