import { createHash } from "node:crypto";
import type { UserRecord } from "./user-record.ts";

const MAGIC = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES = 16;
/** Protobuf tags: the field's number with the wire type "length-delimited", or "varint" for an index. */
const PARTITION_KEY = 0x0a;
const EXPLICIT_HASH_KEY = 0x12;
const RECORD = 0x1a;
const PARTITION_KEY_INDEX = 0x08;
const EXPLICIT_HASH_KEY_INDEX = 0x10;
const DATA = 0x1a;

/** A table of unique strings. */
class Table {
  readonly texts: string[] = [];
  readonly #indices = new Map<string, number>();

  /** The index of the text, or the index that it would get. */
  indexOf(text: string): number {
    return this.#indices.get(text) ?? this.texts.length;
  }

  add(text: string): number {
    const index = this.indexOf(text);
    if (index === this.texts.length) {
      this.#indices.set(text, index);
      this.texts.push(text);
    }
    return index;
  }

  /** How many bytes the entry of this text would add to the aggregate. */
  entryBytes(text: string): number {
    return this.#indices.has(text) ? 0 : fieldBytes(Buffer.byteLength(text));
  }
}

/** Writes one KPL aggregate: add user records, then encode. */
export class AggregateWriter {
  readonly records: UserRecord[] = [];
  readonly #partitionKeys = new Table();
  readonly #hashKeys = new Table();
  #bytes = MAGIC.length + DIGEST_BYTES;
  /** Length of the first record's partition key, which is also the key of the stream record. */
  #keyBytes = 0;

  /** The size of the stream record with this record added, including its partition key, in bytes. */
  streamBytesWith(record: UserRecord): number {
    return this.#keyBytes + this.#bytesWith(record);
  }

  /** The size of the aggregate with this record added, in bytes. */
  #bytesWith(record: UserRecord): number {
    const { partitionKey, explicitHashKey: hashKey } = record;
    const keys =
      this.#partitionKeys.entryBytes(partitionKey) +
      (hashKey === undefined ? 0 : this.#hashKeys.entryBytes(hashKey));
    return this.#bytes + keys + fieldBytes(this.#recordBytes(record));
  }

  add(record: UserRecord): void {
    this.#bytes = this.#bytesWith(record);
    this.#keyBytes ||= Buffer.byteLength(record.partitionKey);
    this.#partitionKeys.add(record.partitionKey);
    if (record.explicitHashKey !== undefined) this.#hashKeys.add(record.explicitHashKey);
    this.records.push(record);
  }

  encode(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes);
    let at = MAGIC.length;
    bytes.set(MAGIC);
    for (const text of this.#partitionKeys.texts) at = writeText(bytes, at, PARTITION_KEY, text);
    for (const text of this.#hashKeys.texts) at = writeText(bytes, at, EXPLICIT_HASH_KEY, text);
    for (const record of this.records) at = this.#writeRecord(bytes, at, record);
    bytes.set(createHash("md5").update(bytes.subarray(MAGIC.length, at)).digest(), at);
    return bytes;
  }

  #recordBytes({ data, partitionKey, explicitHashKey: hashKey }: UserRecord): number {
    const partitionKeyIndex = 1 + varintBytes(this.#partitionKeys.indexOf(partitionKey));
    const hashKeyIndex =
      hashKey === undefined ? 0 : 1 + varintBytes(this.#hashKeys.indexOf(hashKey));
    return partitionKeyIndex + hashKeyIndex + fieldBytes(data.byteLength);
  }

  #writeRecord(bytes: Buffer, start: number, record: UserRecord): number {
    const { data, partitionKey, explicitHashKey } = record;
    bytes[start] = RECORD;
    let at = writeVarint(bytes, start + 1, this.#recordBytes(record));
    bytes[at] = PARTITION_KEY_INDEX;
    at = writeVarint(bytes, at + 1, this.#partitionKeys.indexOf(partitionKey));
    if (explicitHashKey !== undefined) {
      bytes[at] = EXPLICIT_HASH_KEY_INDEX;
      at = writeVarint(bytes, at + 1, this.#hashKeys.indexOf(explicitHashKey));
    }
    bytes[at] = DATA;
    at = writeVarint(bytes, at + 1, data.byteLength);
    bytes.set(data, at);
    return at + data.byteLength;
  }
}

/** True if the data begins like an aggregate. Consumers would de-aggregate it if the rest matches too. */
export function beginsLikeAggregate(data: Uint8Array): boolean {
  return MAGIC.every((byte, index) => data[index] === byte);
}

/** The size of a length-delimited field with its tag, in bytes. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) bytes += 1;
  return bytes;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80), at += 1) bytes[at] = (left % 0x80) + 0x80;
  bytes[at] = left;
  return at + 1;
}

function writeText(bytes: Buffer, start: number, tag: number, text: string): number {
  bytes[start] = tag;
  const at = writeVarint(bytes, start + 1, Buffer.byteLength(text));
  return at + bytes.write(text, at);
}
