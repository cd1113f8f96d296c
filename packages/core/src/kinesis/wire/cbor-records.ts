import { markAsUntransferable } from "node:worker_threads";
import { ConsumerRecord } from "../../record.ts";
import { beginsLikeAggregate } from "../aggregates/magic.ts";
import type { PageRecords } from "../page-records.ts";
import { textOf } from "../short-text.ts";
import { ARRAY, BYTES, MAP, TEXT, type CborReader } from "./cbor-reader.ts";
import {
  ARRIVAL,
  arrivalOf,
  DATA,
  DIFFERENT,
  FIELD_OF,
  FIELDS,
  NAMES,
  NOT_THERE,
  RecordTemplate,
} from "./record-template.ts";
import { MAX_DIGITS, RecordTexts } from "./record-texts.ts";

const SEQUENCE_NUMBER = 0;

/** Minimum size of a record in CBOR: the names of its required members, and a digit. */
const MIN_RECORD_BYTES = 20;
const EMPTY = new Uint8Array(0);

/**
 * The records of a page in CBOR. All of them are located and checked when the page arrives, because a page is accepted
 * or rejected as a whole. Each is created on demand, and is short-lived. A page in the buffer is its bytes and two
 * arrays of numbers, so the garbage collector has nothing to trace.
 */
export class CborRecords implements PageRecords {
  readonly #bytes: Buffer;
  readonly #memory: ArrayBuffer;
  readonly #offset: number;
  readonly #texts: RecordTexts;
  #length = 0;
  #payloadBytes = 0;
  #spans: Int32Array;
  #arrivals: Float64Array;

  /** Reads the list at the reader's position. @throws Error if a record is invalid */
  constructor(bytes: Uint8Array, reader: CborReader) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#memory = this.#bytes.buffer as ArrayBuffer;
    this.#offset = bytes.byteOffset;
    // Transferring one record's data to a worker thread would detach the whole page.
    markAsUntransferable(bytes.buffer);
    const length = reader.readHead(ARRAY);
    const expected = Math.min(Math.max(length, 16), bytes.byteLength / MIN_RECORD_BYTES + 1);
    this.#spans = new Int32Array(expected * FIELDS);
    this.#arrivals = new Float64Array(expected);
    const template = new RecordTemplate(this.#bytes);
    for (let left = length; reader.hasMore(left, length); left -= 1) {
      if (this.#length === this.#arrivals.length) this.#grow();
      this.#index(reader, template);
    }
    this.#texts = new RecordTexts(this.#bytes, this.#spans.subarray(0, this.#length * FIELDS));
  }

  get length(): number {
    return this.#length;
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  get heldBytes(): number {
    return this.#bytes.byteLength + this.#spans.byteLength + this.#arrivals.byteLength;
  }

  sequenceNumber(index: number): string {
    const at = index * FIELDS;
    return this.#bytes.toString("latin1", this.#spans[at], this.#spans[at + 1]);
  }

  beginsLikeAggregate(index: number): boolean {
    const at = index * FIELDS;
    const start = this.#spans[at + 2]!;
    return start + 4 <= this.#spans[at + 3]! && beginsLikeAggregate(this.#bytes, start);
  }

  data(index: number): Uint8Array {
    const start = this.#spans[index * FIELDS + 2]!;
    return this.#bytes.subarray(start, this.#spans[index * FIELDS + 3]);
  }

  arrivalMs(index: number): number {
    const arrival = this.#arrivals[index]!;
    return Number.isNaN(arrival) ? 0 : arrival;
  }

  record(index: number, shardId: string, millisBehindLatest: number): ConsumerRecord {
    const at = index * FIELDS;
    const spans = this.#spans;
    const dataStart = spans[at + 2]!;
    const dataEnd = spans[at + 3]!;
    const keyStart = spans[at + 4]!;
    const typeStart = spans[at + 6]!;
    const sequenceNumber = this.#texts.sequenceNumber(index);
    return new ConsumerRecord({
      data:
        dataStart === dataEnd
          ? EMPTY
          : new Uint8Array(this.#memory, this.#offset + dataStart, dataEnd - dataStart),
      partitionKey: keyStart === NOT_THERE ? undefined : this.#texts.partitionKey(index),
      explicitHashKey: undefined,
      sequenceNumber,
      subSequenceNumber: undefined,
      aggregated: false,
      approximateArrivalMs: this.arrivalMs(index),
      shardId,
      millisBehindLatest,
      encryptionType:
        typeStart === NOT_THERE
          ? undefined
          : (textOf(this.#bytes, typeStart, spans[at + 7]!) as ConsumerRecord["encryptionType"]),
    });
  }

  #grow(): void {
    const spans = new Int32Array(2 * this.#spans.length);
    const arrivals = new Float64Array(2 * this.#arrivals.length);
    spans.set(this.#spans);
    arrivals.set(this.#arrivals);
    this.#spans = spans;
    this.#arrivals = arrivals;
  }

  /** Locates and checks the members of one record. */
  #index(reader: CborReader, template: RecordTemplate): void {
    const spans = this.#spans;
    const at = this.#length * FIELDS;
    const end = template.read(reader.at, spans, at);
    if (end === DIFFERENT) this.#search(reader, template, at);
    else reader.jump(end);
    const digits = spans[at + 1]! - spans[at]!;
    if (digits < 1 || digits > MAX_DIGITS) throw new Error("no sequence number");
    if (!template.areDigits(spans[at]!, spans[at + 1]!)) {
      throw new Error("a sequence number is not made of digits");
    }
    if (spans[at + 2] === NOT_THERE) throw new Error("a record has no data");
    this.#arrivals[this.#length] = template.arrival;
    this.#payloadBytes += spans[at + 3]! - spans[at + 2]! + spans[at + 5]! - spans[at + 4]!;
    this.#length += 1;
  }

  /** Reads each member by its name. The record becomes the template for the next ones. */
  #search(reader: CborReader, template: RecordTemplate, at: number): void {
    const spans = this.#spans;
    const start = reader.at;
    template.clear();
    template.arrival = NaN;
    spans.fill(NOT_THERE, at, at + FIELDS);
    const length = reader.readHead(MAP);
    for (let left = length; reader.hasMore(left, length); left -= 1) {
      const nameAt = reader.at;
      const name = reader.readName(NAMES);
      if (name === NOT_THERE) {
        reader.skipValue();
        continue;
      }
      template.add(name, nameAt, reader.at - nameAt);
      if (name === ARRIVAL) {
        template.arrival = arrivalOf(reader.readTime());
        continue;
      }
      const type = name === DATA ? BYTES : TEXT;
      const isThere = name === SEQUENCE_NUMBER || name === DATA || reader.peekType() === type;
      if (!isThere) {
        if (reader.readValue() !== null) throw new Error("a record's text is none");
        continue;
      }
      const field = at + FIELD_OF[name]!;
      spans[field] = reader.skipString(type);
      spans[field + 1] = reader.at;
    }
    template.take(start);
  }
}
