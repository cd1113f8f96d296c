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

export interface AggregatorOptions {
  /** A `KinesisClient`. It is never closed here. */
  readonly client: KinesisClientLike;
  /** The stream's name or ARN. */
  readonly stream: string;
  /** As in `AggregateOptions`. @default 51200 */
  readonly maxBytes?: number;
  /**
   * Requests in a row that put nothing, or listings in a row that lack a shard, before
   * `put` gives up. @default 10
   */
  readonly maxAttempts?: number;
  /** The wait before another request, doubled with each, with full jitter. @default 100 */
  readonly minDelayMs?: number;
  /** @default 5000 */
  readonly maxDelayMs?: number;
}

/** A stream may be switched to distribution by keys, which no reply shows: it is described again after so long. */
const ANY_FOR_MS = 60_000;

/**
 * Puts user records in aggregates, by shard. It keeps the stream's shards from one call to the next, and
 * nothing else: there is no queue and no timer. What the stream refuses is put again. After a reshard an
 * aggregate may come to a shard that some of its records do not belong to; these are put again too, as the
 * KPL does, since consumers leave them out there.
 */
export class Aggregator {
  readonly #options: Required<AggregatorOptions>;
  readonly #stream: StreamId;
  /** Undefined = not listed yet; "any" = keys do not decide the shard. */
  #shards: ShardMap | "any" | undefined;
  /** By the monotonic clock, in milliseconds. */
  #lookedAt = 0;

  /** @throws TypeError, RangeError for an option that is none */
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
   * Resolves when the stream has acknowledged all of them. Records of one key keep their order unless
   * some are refused or the shards change meanwhile.
   * @throws PutError with the records that were not acknowledged; TypeError for a record that is none
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
        // What is put again comes behind what waits.
        waiting.push(...(await this.#pack(unpacked, signal)));
        unpacked = [];
        if (waiting.length === 0) return;
        const request = firstRequest(waiting);
        const outcomes = await putRecords(this.#options.client, this.#stream, request, signal);
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
      const left = [...waiting.flatMap(({ records: inside }) => inside), ...unpacked];
      throw new PutError(`${left.length} records were not put`, left, { cause: error });
    }
  }

  async #pack(
    records: readonly UserRecord[],
    signal: AbortSignal | undefined,
  ): Promise<readonly StreamRecord[]> {
    if (records.length === 0) return [];
    const isOld = performance.now() - this.#lookedAt >= ANY_FOR_MS;
    if (this.#shards === "any" && isOld) this.#shards = undefined;
    const shards = this.#shards ?? (await this.#lookFor([], signal));
    return aggregateBy(records, shards === "any" ? undefined : shards, this.#options.maxBytes);
  }

  /** The user records that do not belong to the shards that they came to. */
  async #misplaced(
    elsewhere: readonly Arrived[],
    signal: AbortSignal | undefined,
  ): Promise<readonly UserRecord[]> {
    const shards = await this.#lookFor(elsewhere, signal);
    if (shards === "any") return [];
    // Where keys decide, a shard takes nothing but its own. Not every SDK reports that they do not.
    if (elsewhere.some(({ shardId, hashKey }) => !shards.has(shardId, hashKey))) {
      this.#shards = "any";
      return [];
    }
    return elsewhere.flatMap(({ shardId, records }) =>
      records.filter((record) => !shards.has(shardId, hashKeyOf(record))),
    );
  }

  /**
   * A listing may be behind the stream: it is asked for until it has an open shard for every hash key, and
   * names all shards that took something. Another one is not kept.
   */
  async #lookFor(
    elsewhere: readonly Arrived[],
    signal: AbortSignal | undefined,
  ): Promise<ShardMap | "any"> {
    this.#shards = undefined;
    for (let attempt = 1; ; attempt += 1) {
      const shards = await this.#look(signal);
      const missing = shards === "any" ? undefined : missingIn(shards, elsewhere);
      if (missing === undefined) return (this.#shards = shards);
      if (attempt === this.#options.maxAttempts) throw new Error(`ListShards ${missing}`);
      await this.#pause(attempt, signal);
    }
  }

  async #look(signal: AbortSignal | undefined): Promise<ShardMap | "any"> {
    const { client } = this.#options;
    const options = signal ? { abortSignal: signal } : {};
    this.#lookedAt = performance.now();
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

/** An aggregate in the stream. */
interface Arrived {
  readonly shardId: string;
  /** That it was put with. */
  readonly hashKey: bigint;
  readonly records: readonly UserRecord[];
}

/** Those that came to another shard than they were made for. A record that travels alone is where it belongs. */
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

/** What the listing lacks, as a part of a sentence. */
function missingIn(shards: ShardMap, elsewhere: readonly Arrived[]): string | undefined {
  if (!shards.hasAllHashKeys) return "names no open shard for some hash keys";
  const unknown = elsewhere.find(({ shardId }) => !shards.names(shardId));
  return unknown && `does not name ${unknown.shardId}, which took records`;
}

/** Why the stream took none of them. */
function refusal(outcomes: readonly PutOutcome[]): Error {
  const [first] = outcomes as readonly { errorCode: string; errorMessage: string }[];
  return new Error(`PutRecords: ${first?.errorCode}: ${first?.errorMessage}`);
}
