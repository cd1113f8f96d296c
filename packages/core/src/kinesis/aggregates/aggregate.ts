import { markAsUntransferable } from "node:worker_threads";
import { ConsumerRecord } from "../../record.ts";
import { KnownKeys, type KnownKey } from "./known-keys.ts";
import { endsInItsMd5 } from "./md5.ts";
import { LENGTH_DELIMITED, ProtobufError, ProtobufReader, VARINT } from "./protobuf-reader.ts";
import type { ShardKeys } from "./shard-keys.ts";

/** What an aggregate of the Kinesis Producer Library begins with, as one number. */
const MAGIC = 0xf3899ac2;
const MAGIC_BYTES = 4;
const DIGEST_BYTES = 16;

/** Fields of the aggregate, and of a user record in it. */
const PARTITION_KEY = 1;
const EXPLICIT_HASH_KEY = 2;
const RECORD = 3;
const PARTITION_KEY_INDEX = 1;
const EXPLICIT_HASH_KEY_INDEX = 2;
const DATA = 3;

/** An entry of a table takes two bytes at least, and the user record that it is for takes six. */
const LEAST_ENTRY_AND_RECORD_BYTES = 8;
const NOT_THERE = -1;
const EMPTY = new Uint8Array(0);

/** Does it begin like an aggregate? @param start where the record's data begin */
export function beginsLikeAggregate(bytes: Uint8Array, start: number): boolean {
  return (
    bytes[start] === MAGIC >>> 24 &&
    bytes[start + 1] === ((MAGIC >>> 16) & 0xff) &&
    bytes[start + 2] === ((MAGIC >>> 8) & 0xff) &&
    bytes[start + 3] === (MAGIC & 0xff)
  );
}

export interface AggregateOptions {
  /** The shard's keys; undefined = every user record is the shard's. */
  readonly keys: ShardKeys | undefined;
  /** What is known about keys of earlier aggregates with the same `keys`. @default nothing */
  readonly known?: KnownKeys;
  /** Asked if there are user records of other shards: are they left out? */
  readonly mayLeaveOut: () => boolean;
}

/**
 * The user records of one aggregate, one after another. The whole aggregate is checked first; then
 * each user record is found again when its turn comes, so that nothing is kept of those that wait.
 */
export class Aggregate {
  /** How many user records have keys of other shards. */
  outOfRange = 0;
  /** Are these left out? */
  leavesOut = false;
  /** Of the user record in hand, among all of its aggregate. */
  sub = -1;
  readonly #source: ConsumerRecord;
  readonly #bytes: Buffer;
  readonly #reader: ProtobufReader;
  /** Where the entries of the tables begin and end. */
  readonly #partitionKeys: number[] = [];
  readonly #hashKeys: number[] = [];
  /** The same as text, once it was asked for, and whether user records with such a key are the shard's. */
  readonly #knownPartitionKeys: KnownKey[] = [];
  readonly #hashKeyTexts: string[] = [];
  readonly #hashKeyIsHere: boolean[] = [];
  readonly #known: KnownKeys;
  #keys: ShardKeys | undefined;
  #records = 0;
  /** The last user record that is delivered. */
  #last = -1;
  /** The user record in hand: the indices of its keys, and where its data begin and end. */
  #partitionKey = NOT_THERE;
  #hashKey = NOT_THERE;
  #dataStart = NOT_THERE;
  #dataEnd = NOT_THERE;

  /** Undefined = the record is none, or holds nothing. It is positioned before the first user record. */
  static open(source: ConsumerRecord, options: AggregateOptions): Aggregate | undefined {
    const { data } = source;
    const end = data.byteLength - DIGEST_BYTES;
    if (end <= MAGIC_BYTES || !beginsLikeAggregate(data, 0)) return undefined;
    if (!endsInItsMd5(data, MAGIC_BYTES, end)) return undefined;
    const aggregate = new Aggregate(source, end, options.known ?? new KnownKeys());
    try {
      aggregate.#check(options);
    } catch (error) {
      if (error instanceof ProtobufError) return undefined;
      throw error;
    }
    if (aggregate.#records === 0) return undefined;
    // One user record's data, handed over to a worker thread, would take the others with it.
    markAsUntransferable(data.buffer);
    return aggregate;
  }

  private constructor(source: ConsumerRecord, end: number, known: KnownKeys) {
    const { buffer, byteOffset, byteLength } = source.data;
    this.#source = source;
    this.#known = known;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#reader = new ProtobufReader(this.#bytes, MAGIC_BYTES, end);
  }

  /** How many user records follow the one in hand and are delivered, at most. */
  get left(): number {
    return this.#last - this.sub;
  }

  /** Is the one in hand the last that is delivered? Then the whole aggregate is done with it. */
  get isLast(): boolean {
    return this.sub === this.#last;
  }

  /** Goes to the next user record that is delivered; false = there is none. */
  next(): boolean {
    while (this.sub < this.#last) {
      this.#find();
      if (!this.leavesOut || this.#isHere()) return true;
    }
    return false;
  }

  /** The user record in hand. */
  record(): ConsumerRecord {
    const source = this.#source;
    const bytes = this.#bytes;
    const start = this.#dataStart;
    const end = this.#dataEnd;
    return new ConsumerRecord({
      data:
        start === end ? EMPTY : new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start),
      partitionKey: this.#knownKey(this.#partitionKey).text,
      explicitHashKey: this.#hashKey === NOT_THERE ? undefined : this.#hashKeyText(this.#hashKey),
      sequenceNumber: source.sequenceNumber,
      subSequenceNumber: this.sub,
      aggregated: true,
      approximateArrivalTimestamp: new Date(source.approximateArrivalTimestamp.getTime()),
      shardId: source.shardId,
      millisBehindLatest: source.millisBehindLatest,
      encryptionType: source.encryptionType,
    });
  }

  /** Takes the tables, and checks all records. */
  #check({ keys, mayLeaveOut }: AggregateOptions): void {
    const reader = this.#reader;
    const first = reader.at;
    let partitionKeys = 0;
    let hashKeys = 0;
    while (reader.nextField(reader.end)) {
      if (reader.wireType !== LENGTH_DELIMITED || reader.field > RECORD) {
        reader.skipField();
        continue;
      }
      reader.skipBytes();
      if (reader.field === PARTITION_KEY) this.#enter(this.#partitionKeys);
      else if (reader.field === EXPLICIT_HASH_KEY) this.#enter(this.#hashKeys);
      else {
        this.#take(reader.start, reader.at);
        partitionKeys = Math.max(partitionKeys, this.#partitionKey + 1);
        hashKeys = Math.max(hashKeys, this.#hashKey + 1);
        this.#records += 1;
      }
    }
    if (2 * partitionKeys > this.#partitionKeys.length || 2 * hashKeys > this.#hashKeys.length) {
      throw new ProtobufError("a user record without its key");
    }
    reader.at = first;
    this.#last = this.#records - 1;
    if (keys === undefined) return;
    this.#keys = keys;
    const last = this.#judge();
    this.leavesOut = this.outOfRange > 0 && mayLeaveOut();
    if (this.leavesOut) this.#last = last;
    reader.at = first;
    this.sub = -1;
  }

  /** Takes an entry of a table. A table whose entries are for nothing takes up no memory. */
  #enter(table: number[]): void {
    const { start, at, end } = this.#reader;
    if (table.length / 2 > end / LEAST_ENTRY_AND_RECORD_BYTES) {
      throw new ProtobufError("more keys than user records");
    }
    table.push(start, at);
  }

  /** Counts the user records of other shards. Returns the index of the last one that is the shard's. */
  #judge(): number {
    let last = -1;
    while (this.sub < this.#records - 1) {
      this.#find();
      if (this.#isHere()) last = this.sub;
      else this.outOfRange += 1;
    }
    return last;
  }

  /** Goes to the next user record. They were checked. */
  #find(): void {
    const reader = this.#reader;
    do {
      reader.nextField(reader.end);
      reader.skipField();
    } while (reader.field !== RECORD || reader.wireType !== LENGTH_DELIMITED);
    this.sub += 1;
    this.#take(reader.start, reader.at);
  }

  /** Takes the members of a user record. */
  #take(start: number, end: number): void {
    const reader = this.#reader;
    this.#partitionKey = this.#hashKey = this.#dataStart = NOT_THERE;
    reader.at = start;
    while (reader.nextField(end)) {
      const { field, wireType } = reader;
      if (field === DATA && wireType === LENGTH_DELIMITED) {
        reader.skipBytes();
        this.#dataStart = reader.start;
        this.#dataEnd = reader.at;
      } else if (field === PARTITION_KEY_INDEX && wireType === VARINT) {
        this.#partitionKey = reader.readVarint();
      } else if (field === EXPLICIT_HASH_KEY_INDEX && wireType === VARINT) {
        this.#hashKey = reader.readVarint();
      } else reader.skipField();
    }
    if (this.#partitionKey === NOT_THERE || this.#dataStart === NOT_THERE) {
      throw new ProtobufError("a user record without a key or data");
    }
  }

  #isHere(): boolean {
    const keys = this.#keys!;
    if (this.#hashKey === NOT_THERE) {
      const index = this.#partitionKey;
      const known = this.#knownKey(index);
      return (known.isHere ??= keys.hasPartitionKey(
        this.#bytes,
        this.#partitionKeys[2 * index]!,
        this.#partitionKeys[2 * index + 1]!,
      ));
    }
    const index = this.#hashKey;
    return (this.#hashKeyIsHere[index] ??= keys.hasHashKey(this.#hashKeyText(index)));
  }

  #knownKey(index: number): KnownKey {
    return (this.#knownPartitionKeys[index] ??= this.#known.of(
      this.#bytes,
      this.#partitionKeys[2 * index]!,
      this.#partitionKeys[2 * index + 1]!,
    ));
  }

  #hashKeyText(index: number): string {
    return (this.#hashKeyTexts[index] ??= this.#bytes.toString(
      "utf8",
      this.#hashKeys[2 * index],
      this.#hashKeys[2 * index + 1],
    ));
  }
}
