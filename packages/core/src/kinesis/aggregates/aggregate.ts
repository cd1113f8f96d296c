import { ConsumerRecord } from "../../record.ts";
import { DIGEST_BYTES } from "./aggregate-frames.ts";
import { ABSENT, AggregateReader } from "./aggregate-reader.ts";
import { MAGIC_BYTES } from "./magic.ts";
import { ProtobufError } from "./protobuf-reader.ts";
import type { ShardKeys } from "./shard-keys.ts";

const EMPTY = new Uint8Array(0);

export interface AggregateOptions {
  /** The keys of the shard; undefined = every user record belongs to the shard. */
  readonly keys: ShardKeys | undefined;
  /** Called if user records belong to other shards. Returns whether to leave them out. */
  readonly mayLeaveOut: () => boolean;
  /** The sub-sequence number behind which reading resumes; -1 = the aggregate is read from its start. */
  readonly after: number;
}

/**
 * A cursor over the user records of one aggregate. The whole aggregate is checked when it is opened. Each user record
 * is parsed again when the cursor reaches it, so nothing is stored for those that wait.
 */
export class Aggregate {
  /** Number of user records behind `after` that belong to other shards. */
  outOfRange = 0;
  /** Whether those are left out. */
  leavesOut = false;
  /** Index of the current user record in the aggregate: its sub-sequence number. */
  sub = -1;
  readonly #source: ConsumerRecord;
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;
  readonly #reader: AggregateReader;
  #records = 0;
  /** The index of the last user record that is delivered. */
  #last = -1;

  /**
   * Opens an aggregate, positioned before its first user record. Returns undefined if the record is not an aggregate,
   * or an empty one.
   * @param source has the frame of an aggregate: see `AggregateFrames`
   */
  static open(source: ConsumerRecord, options: AggregateOptions): Aggregate | undefined {
    try {
      const aggregate = new Aggregate(source);
      aggregate.#check(options);
      return aggregate.#records === 0 ? undefined : aggregate;
    } catch (error) {
      if (error instanceof ProtobufError) return undefined;
      throw error;
    }
  }

  private constructor(source: ConsumerRecord) {
    const { buffer, byteOffset, byteLength } = source.data;
    this.#source = source;
    this.#memory = buffer;
    this.#offset = byteOffset;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#reader = new AggregateReader(bytes, MAGIC_BYTES, byteLength - DIGEST_BYTES);
  }

  /** The most user records that are delivered after the current one. */
  get left(): number {
    return this.#last - this.sub;
  }

  /** Whether the current user record is the last one that is delivered: with it, the whole aggregate is done. */
  get isLast(): boolean {
    return this.sub === this.#last;
  }

  /** Moves to the next user record that is delivered. False = there is none. */
  next(): boolean {
    while (this.sub < this.#last) {
      this.#advance();
      if (!this.leavesOut || this.#isInRange()) return true;
    }
    return false;
  }

  /** Creates the current user record. */
  record(): ConsumerRecord {
    const source = this.#source;
    const { partitionKeys, hashKeys, partitionKey, hashKey, dataStart, dataEnd } = this.#reader;
    const length = dataEnd - dataStart;
    return new ConsumerRecord({
      data: length === 0 ? EMPTY : new Uint8Array(this.#memory, this.#offset + dataStart, length),
      partitionKey: partitionKeys.text(partitionKey),
      explicitHashKey: hashKey === ABSENT ? undefined : hashKeys.text(hashKey),
      sequenceNumber: source.sequenceNumber,
      subSequenceNumber: this.sub,
      aggregated: true,
      approximateArrivalMs: source.approximateArrivalMs,
      shardId: source.shardId,
      millisBehindLatest: source.millisBehindLatest,
      encryptionType: source.encryptionType,
    });
  }

  /** Reads the whole aggregate once, and finds the user records of other shards. @throws ProtobufError */
  #check({ keys, mayLeaveOut, after }: AggregateOptions): void {
    const reader = this.#reader;
    const { partitionKeys, hashKeys } = reader;
    let maxPartitionKey = ABSENT;
    let maxHashKey = ABSENT;
    /** Whether the partition key decides the shard of any user record. */
    let isByPartitionKey = false;
    while (reader.read()) {
      if (reader.partitionKey > maxPartitionKey) maxPartitionKey = reader.partitionKey;
      if (reader.hashKey === ABSENT) isByPartitionKey = true;
      else if (reader.hashKey > maxHashKey) maxHashKey = reader.hashKey;
      this.#records += 1;
    }
    if (maxPartitionKey >= partitionKeys.length || maxHashKey >= hashKeys.length) {
      throw new ProtobufError("a user record without its key");
    }
    reader.rewind();
    this.#last = this.#records - 1;
    if (keys === undefined) return;
    if (isByPartitionKey) keys.markOutOfRange(partitionKeys);
    for (let i = 0; i < hashKeys.length; i += 1) {
      if (!keys.includesHashKey(hashKeys.text(i))) hashKeys.setOutOfRange(i);
    }
    if (partitionKeys.areAllInRange && hashKeys.areAllInRange) return;
    const last = this.#countOutOfRange(after);
    this.leavesOut = this.outOfRange > 0 && mayLeaveOut();
    if (this.leavesOut) this.#last = last;
    reader.rewind();
    this.sub = -1;
  }

  /** Returns the index of the last user record that belongs to the shard, or -1. */
  #countOutOfRange(after: number): number {
    let last = -1;
    while (this.sub < this.#records - 1) {
      this.#advance();
      if (this.#isInRange()) last = this.sub;
      else if (this.sub > after) this.outOfRange += 1;
    }
    return last;
  }

  #advance(): void {
    this.sub += 1;
    this.#reader.readAgain();
  }

  /** An explicit hash key decides the shard in place of the partition key. */
  #isInRange(): boolean {
    const { partitionKeys, hashKeys, partitionKey, hashKey } = this.#reader;
    return hashKey === ABSENT ? partitionKeys.isInRange(partitionKey) : hashKeys.isInRange(hashKey);
  }
}
