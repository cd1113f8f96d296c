import { KeyTable } from "./key-table.ts";
import { LENGTH_DELIMITED, ProtobufError, ProtobufReader, VARINT } from "./protobuf-reader.ts";

/** Field numbers of the aggregate's message, and of the message of a user record. */
const PARTITION_KEY = 1;
const EXPLICIT_HASH_KEY = 2;
const RECORD = 3;
const PARTITION_KEY_INDEX = 1;
const EXPLICIT_HASH_KEY_INDEX = 2;
const DATA = 3;
/** Tags: a field number and a wire type in one byte. */
const PARTITION_KEY_TAG = (PARTITION_KEY << 3) | LENGTH_DELIMITED;
const EXPLICIT_HASH_KEY_TAG = (EXPLICIT_HASH_KEY << 3) | LENGTH_DELIMITED;
const RECORD_TAG = (RECORD << 3) | LENGTH_DELIMITED;
const KEY_TAG = (PARTITION_KEY_INDEX << 3) | VARINT;
const DATA_TAG = (DATA << 3) | LENGTH_DELIMITED;

/** The value of a field that a user record does not have. */
export const ABSENT = -1;

/**
 * Reads the message of an aggregate: the tables of keys, and user records that refer to keys by index. The first pass
 * fills the tables. After `rewind` the user records are read again, so nothing is stored for each of them.
 */
export class AggregateReader {
  readonly partitionKeys: KeyTable;
  readonly hashKeys: KeyTable;
  /** Of the current user record: the indices of its keys, and the offsets where its data starts and ends. */
  partitionKey: number = ABSENT;
  hashKey: number = ABSENT;
  dataStart: number = ABSENT;
  dataEnd: number = ABSENT;
  readonly #bytes: Buffer;
  readonly #reader: ProtobufReader;
  /** Where the second pass starts. */
  readonly #first: number;

  /** @throws ProtobufError if there are more keys than user records could have */
  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.partitionKeys = new KeyTable(bytes);
    this.hashKeys = new KeyTable(bytes);
    this.#reader = new ProtobufReader(bytes, start, end);
    this.#readTables();
    this.#first = this.#reader.at;
  }

  /** First pass: reads the next user record, and the keys before it. False at the end. @throws ProtobufError */
  read(): boolean {
    return this.#readCommon() || this.#readNext();
  }

  /** Starts the second pass. */
  rewind(): void {
    this.#reader.at = this.#first;
  }

  /** Second pass: reads the next user record. There must be one. */
  readAgain(): void {
    if (!this.#readCommon()) this.#findNext();
  }

  #readNext(): boolean {
    const reader = this.#reader;
    while (reader.nextField(reader.end)) {
      const { field, wireType } = reader;
      if (wireType !== LENGTH_DELIMITED || field > RECORD) {
        reader.skipField();
        continue;
      }
      reader.skipBytes();
      if (field === PARTITION_KEY) this.partitionKeys.add(reader.start, reader.at);
      else if (field === EXPLICIT_HASH_KEY) this.hashKeys.add(reader.start, reader.at);
      else {
        this.#readAny(reader.start, reader.at);
        return true;
      }
    }
    return false;
  }

  /** The keys between user records are in the tables already. */
  #findNext(): void {
    const reader = this.#reader;
    do {
      reader.nextField(reader.end);
      reader.skipField();
    } while (reader.field !== RECORD || reader.wireType !== LENGTH_DELIMITED);
    this.#readAny(reader.start, reader.at);
  }

  /** Reads the tables in the common case: they precede the user records, and their keys are short. */
  #readTables(): void {
    const reader = this.#reader;
    for (let from = -1; from < reader.at;) {
      from = reader.at;
      reader.at = this.partitionKeys.addRun(PARTITION_KEY_TAG, reader.at, reader.end);
      reader.at = this.hashKeys.addRun(EXPLICIT_HASH_KEY_TAG, reader.at, reader.end);
    }
  }

  /**
   * Reads a user record in the common case: less than 16 KiB, one of the first 128 partition keys, no hash key, then
   * the data. False = the next field is something else, and nothing was read.
   */
  #readCommon(): boolean {
    const bytes = this.#bytes;
    const reader = this.#reader;
    const { at } = reader;
    // The digest follows the message, so reading beyond a truncated field stays within the bytes.
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
    this.partitionKey = key;
    this.hashKey = ABSENT;
    this.dataStart = data;
    this.dataEnd = end;
    reader.at = end;
    return true;
  }

  /** Reads the fields of any user record. @throws ProtobufError */
  #readAny(start: number, end: number): void {
    const reader = this.#reader;
    this.partitionKey = this.hashKey = this.dataStart = ABSENT;
    reader.at = start;
    while (reader.nextField(end)) {
      const { field, wireType } = reader;
      if (field === DATA && wireType === LENGTH_DELIMITED) {
        reader.skipBytes();
        this.dataStart = reader.start;
        this.dataEnd = reader.at;
      } else if (field === PARTITION_KEY_INDEX && wireType === VARINT) {
        this.partitionKey = reader.readVarint();
      } else if (field === EXPLICIT_HASH_KEY_INDEX && wireType === VARINT) {
        this.hashKey = reader.readVarint();
      } else reader.skipField();
    }
    if (this.partitionKey === ABSENT || this.dataStart === ABSENT) {
      throw new ProtobufError("a user record without a key or data");
    }
  }
}
