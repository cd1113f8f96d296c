import { ConsumerRecord } from "../../record.ts";
import { DIGEST_BYTES } from "./aggregate-frames.ts";
import { KeyTable } from "./key-table.ts";
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
/** A field's number with its type, as the first byte has them. */
const PARTITION_KEY_TAG = (PARTITION_KEY << 3) | LENGTH_DELIMITED;
const EXPLICIT_HASH_KEY_TAG = (EXPLICIT_HASH_KEY << 3) | LENGTH_DELIMITED;
const RECORD_TAG = (RECORD << 3) | LENGTH_DELIMITED;
const KEY_TAG = (PARTITION_KEY_INDEX << 3) | VARINT;
const DATA_TAG = (DATA << 3) | LENGTH_DELIMITED;

const NOT_THERE = -1;
const EMPTY = new Uint8Array(0);

export interface AggregateOptions {
  /** The shard's keys; undefined = every user record is the shard's. */
  readonly keys: ShardKeys | undefined;
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
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;
  readonly #reader: ProtobufReader;
  readonly #partitionKeys: KeyTable;
  readonly #hashKeys: KeyTable;
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
    return aggregate.#records === 0 ? undefined : aggregate;
  }

  private constructor(source: ConsumerRecord) {
    const { buffer, byteOffset, byteLength } = source.data;
    this.#source = source;
    this.#memory = buffer;
    this.#offset = byteOffset;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#partitionKeys = new KeyTable(this.#bytes);
    this.#hashKeys = new KeyTable(this.#bytes);
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
      data: length === 0 ? EMPTY : new Uint8Array(this.#memory, this.#offset + start, length),
      partitionKey: this.#partitionKeys.text(this.#partitionKey),
      explicitHashKey: this.#hashKey === NOT_THERE ? undefined : this.#hashKeys.text(this.#hashKey),
      sequenceNumber: source.sequenceNumber,
      subSequenceNumber: this.sub,
      aggregated: true,
      approximateArrivalMs: source.approximateArrivalMs,
      shardId: source.shardId,
      millisBehindLatest: source.millisBehindLatest,
      encryptionType: source.encryptionType,
    });
  }

  /** Takes the tables, and checks all records. */
  #check({ keys, mayLeaveOut }: AggregateOptions): void {
    const reader = this.#reader;
    this.#takeTables();
    const first = reader.at;
    const partitionKeys = this.#partitionKeys;
    const hashKeys = this.#hashKeys;
    let mostPartitionKey = NOT_THERE;
    let mostHashKey = NOT_THERE;
    /** Is there a user record whose partition key decides its shard? */
    let isByPartitionKey = false;
    while (this.#takeUsual() || this.#takeNext()) {
      if (this.#partitionKey > mostPartitionKey) mostPartitionKey = this.#partitionKey;
      if (this.#hashKey === NOT_THERE) isByPartitionKey = true;
      else if (this.#hashKey > mostHashKey) mostHashKey = this.#hashKey;
      this.#records += 1;
    }
    if (mostPartitionKey >= partitionKeys.length || mostHashKey >= hashKeys.length) {
      throw new ProtobufError("a user record without its key");
    }
    reader.at = first;
    this.#last = this.#records - 1;
    if (keys === undefined) return;
    if (isByPartitionKey) keys.judge(partitionKeys);
    for (let i = 0; i < hashKeys.length; i += 1) {
      if (!keys.hasHashKey(hashKeys.text(i))) hashKeys.setElsewhere(i);
    }
    if (partitionKeys.areAllHere && hashKeys.areAllHere) return;
    const last = this.#judge();
    this.leavesOut = this.outOfRange > 0 && mayLeaveOut();
    if (this.leavesOut) this.#last = last;
    reader.at = first;
    this.sub = -1;
  }

  /** Takes the entries that the aggregate begins with, so long as they are as usual. */
  #takeTables(): void {
    const reader = this.#reader;
    for (let from = -1; from < reader.at;) {
      from = reader.at;
      reader.at = this.#partitionKeys.addRun(PARTITION_KEY_TAG, reader.at, reader.end);
      reader.at = this.#hashKeys.addRun(EXPLICIT_HASH_KEY_TAG, reader.at, reader.end);
    }
  }

  /** Takes what comes before the next user record, and that one; false = there is none. */
  #takeNext(): boolean {
    const reader = this.#reader;
    while (reader.nextField(reader.end)) {
      const { field, wireType } = reader;
      if (wireType !== LENGTH_DELIMITED || field > RECORD) {
        reader.skipField();
        continue;
      }
      reader.skipBytes();
      if (field === PARTITION_KEY) this.#partitionKeys.add(reader.start, reader.at);
      else if (field === EXPLICIT_HASH_KEY) this.#hashKeys.add(reader.start, reader.at);
      else {
        this.#takeAny(reader.start, reader.at);
        return true;
      }
    }
    return false;
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
    this.sub += 1;
    if (this.#takeUsual()) return;
    const reader = this.#reader;
    do {
      reader.nextField(reader.end);
      reader.skipField();
    } while (reader.field !== RECORD || reader.wireType !== LENGTH_DELIMITED);
    this.#takeAny(reader.start, reader.at);
  }

  /**
   * Takes the next field if it is a user record as most are: of less than 16 KiB, with a key among the first
   * 128, and data, in this order. False = it is another, and nothing was taken.
   */
  #takeUsual(): boolean {
    const bytes = this.#bytes;
    const reader = this.#reader;
    const { at } = reader;
    // The digest follows: of a field that is cut short, there is something to be read too.
    if (at >= reader.end || bytes[at] !== RECORD_TAG) return false;
    let start = at + 2;
    let length = bytes[at + 1]!;
    if (length >= 0x80) {
      const high = bytes[start]!;
      if (high >= 0x80) return false;
      length = (length & 0x7f) + (high << 7);
      start += 1;
    }
    const end = start + length;
    const key = bytes[start + 1]!;
    if (bytes[start] !== KEY_TAG || key >= 0x80 || bytes[start + 2] !== DATA_TAG) return false;
    let data = start + 4;
    let dataLength = bytes[start + 3]!;
    if (dataLength >= 0x80) {
      const high = bytes[data]!;
      if (high >= 0x80) return false;
      dataLength = (dataLength & 0x7f) + (high << 7);
      data += 1;
    }
    if (data + dataLength !== end || end > reader.end) return false;
    this.#partitionKey = key;
    this.#hashKey = NOT_THERE;
    this.#dataStart = data;
    this.#dataEnd = end;
    reader.at = end;
    return true;
  }

  /** Takes the members of a user record. */
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
      ? this.#partitionKeys.isHere(this.#partitionKey)
      : this.#hashKeys.isHere(this.#hashKey);
  }
}
