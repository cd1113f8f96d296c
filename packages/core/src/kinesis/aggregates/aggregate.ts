import { markAsUntransferable } from "node:worker_threads";
import { ConsumerRecord } from "../../record.ts";
import { DIGEST_BYTES } from "./aggregate-frames.ts";
import { KnownKeys, type KnownKey } from "./known-keys.ts";
import { MAGIC_BYTES } from "./magic.ts";
import { LENGTH_DELIMITED, ProtobufError, ProtobufReader, VARINT } from "./protobuf-reader.ts";
import type { ShardKeys } from "./shard-keys.ts";

/** Fields of the aggregate, and of a user record in it. */
const PARTITION_KEY = 1;
const EXPLICIT_HASH_KEY = 2;
const RECORD = 3;
const PARTITION_KEY_INDEX = 1;
const EXPLICIT_HASH_KEY_INDEX = 2;
const DATA = 3;
/** As the first byte of a member has them, with its type. */
const KEY_TAG = (PARTITION_KEY_INDEX << 3) | VARINT;
const DATA_TAG = (DATA << 3) | LENGTH_DELIMITED;

/** An entry of a table takes two bytes at least, and the user record that it is for takes six. */
const LEAST_ENTRY_AND_RECORD_BYTES = 8;
const NOT_THERE = -1;
const EMPTY = new Uint8Array(0);

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
  readonly #arrival: number;
  readonly #bytes: Buffer;
  readonly #memory: ArrayBufferLike;
  readonly #reader: ProtobufReader;
  #partitionKeys: readonly KnownKey[] = [];
  #hashKeys: readonly KnownKey[] = [];
  #records = 0;
  /** The last user record that is delivered. */
  #last = -1;
  /** The user record in hand: the indices of its keys, and where its data begin and end. */
  #partitionKey = NOT_THERE;
  #hashKey = NOT_THERE;
  #dataStart = NOT_THERE;
  #dataEnd = NOT_THERE;

  /**
   * Undefined = the record is none, or holds nothing. It is positioned before the first user record.
   * @param source is in the frame of an aggregate: see `AggregateFrames`
   */
  static open(source: ConsumerRecord, options: AggregateOptions): Aggregate | undefined {
    const aggregate = new Aggregate(source);
    try {
      aggregate.#check(options);
    } catch (error) {
      if (error instanceof ProtobufError) return undefined;
      throw error;
    }
    if (aggregate.#records === 0) return undefined;
    // One user record's data, handed over to a worker thread, would take the others with it.
    markAsUntransferable(source.data.buffer);
    return aggregate;
  }

  private constructor(source: ConsumerRecord) {
    const { buffer, byteOffset, byteLength } = source.data;
    this.#source = source;
    this.#arrival = source.approximateArrivalTimestamp.getTime();
    this.#memory = buffer;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#reader = new ProtobufReader(this.#bytes, MAGIC_BYTES, byteLength - DIGEST_BYTES);
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
    const start = this.#dataStart;
    const length = this.#dataEnd - start;
    return new ConsumerRecord({
      data:
        length === 0 ? EMPTY : new Uint8Array(this.#memory, source.data.byteOffset + start, length),
      partitionKey: this.#partitionKeys[this.#partitionKey]!.text,
      explicitHashKey:
        this.#hashKey === NOT_THERE ? undefined : this.#hashKeys[this.#hashKey]!.text,
      sequenceNumber: source.sequenceNumber,
      subSequenceNumber: this.sub,
      aggregated: true,
      // A handler may change its record's date.
      approximateArrivalTimestamp: new Date(this.#arrival),
      shardId: source.shardId,
      millisBehindLatest: source.millisBehindLatest,
      encryptionType: source.encryptionType,
    });
  }

  /** Takes the tables, and checks all records. */
  #check({ keys, known = new KnownKeys(), mayLeaveOut }: AggregateOptions): void {
    const reader = this.#reader;
    const first = reader.at;
    /** Where the entries of the tables begin and end. */
    const partitionKeys: number[] = [];
    const hashKeys: number[] = [];
    let mostPartitionKey = NOT_THERE;
    let mostHashKey = NOT_THERE;
    while (reader.nextField(reader.end)) {
      if (reader.wireType !== LENGTH_DELIMITED || reader.field > RECORD) {
        reader.skipField();
        continue;
      }
      reader.skipBytes();
      if (reader.field === PARTITION_KEY) this.#enter(partitionKeys);
      else if (reader.field === EXPLICIT_HASH_KEY) this.#enter(hashKeys);
      else {
        this.#take(reader.start, reader.at);
        if (this.#partitionKey > mostPartitionKey) mostPartitionKey = this.#partitionKey;
        if (this.#hashKey > mostHashKey) mostHashKey = this.#hashKey;
        this.#records += 1;
      }
    }
    if (2 * mostPartitionKey >= partitionKeys.length || 2 * mostHashKey >= hashKeys.length) {
      throw new ProtobufError("a user record without its key");
    }
    reader.at = first;
    this.#last = this.#records - 1;
    this.#partitionKeys = entries(partitionKeys, (start, end) => known.of(this.#bytes, start, end));
    this.#hashKeys = entries(hashKeys, (start, end) => {
      const text = this.#bytes.toString("utf8", start, end);
      return { text, isHere: keys?.hasHashKey(text) };
    });
    if (keys === undefined) return;
    keys.judge(this.#partitionKeys, this.#bytes, partitionKeys);
    if (this.#partitionKeys.every(isHere) && this.#hashKeys.every(isHere)) return;
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
    if (!this.#takeShort(start, end)) this.#takeAny(start, end);
  }

  /**
   * Takes a user record that has no more than most have: a key among the first 128, and data of less than
   * 16 KiB, in this order. False = it is another.
   */
  #takeShort(start: number, end: number): boolean {
    const bytes = this.#bytes;
    const key = bytes[start + 1]!;
    const low = bytes[start + 3]!;
    const high = low < 0x80 ? 0 : bytes[start + 4]!;
    const data = low < 0x80 ? start + 4 : start + 5;
    const dataEnd = data + (low & 0x7f) + (high << 7);
    if (bytes[start] !== KEY_TAG || bytes[start + 2] !== DATA_TAG) return false;
    if (key >= 0x80 || high >= 0x80 || dataEnd !== end) return false;
    this.#partitionKey = key;
    this.#hashKey = NOT_THERE;
    this.#dataStart = data;
    this.#dataEnd = dataEnd;
    return true;
  }

  #takeAny(start: number, end: number): void {
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
    return this.#hashKey === NOT_THERE
      ? this.#partitionKeys[this.#partitionKey]!.isHere!
      : this.#hashKeys[this.#hashKey]!.isHere!;
  }
}

function isHere(key: KnownKey): boolean {
  return key.isHere!;
}

function entries(
  spans: readonly number[],
  keyOf: (start: number, end: number) => KnownKey,
): KnownKey[] {
  const keys: KnownKey[] = [];
  for (let i = 0; i < spans.length; i += 2) keys.push(keyOf(spans[i]!, spans[i + 1]!));
  return keys;
}
