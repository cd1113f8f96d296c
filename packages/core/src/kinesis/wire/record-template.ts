import { BYTES, TAG, TEXT } from "./cbor-reader.ts";
import { checkArrival } from "./records-reply.ts";

/** The members of a record, in the order in which the service writes them. */
export const NAMES = [
  "SequenceNumber",
  "ApproximateArrivalTimestamp",
  "Data",
  "PartitionKey",
  "EncryptionType",
].map((name) => Buffer.from(name));
export const ARRIVAL = 1;
export const DATA = 2;

/** Of each record: where its sequence number, data, key and encryption type begin and end. */
export const FIELDS = 8;
/** By name. The arrival is a number, and is kept apart. */
export const FIELD_OF = [0, -1, 2, 4, 6];
export const NOT_THERE = -1;

/** This record is not like the one before it. */
export const DIFFERENT = -1;

/** A value's longest head: a byte and a number of 64 bits. */
const LONGEST_HEAD = 9;
const UINT64 = 0x1b;
const FLOAT64 = 0xfb;
const UINT8_LENGTH = 24;
const UINT16_LENGTH = 25;
const UINT32_LENGTH = 26;

interface Member {
  readonly name: number;
  /** Where its name's bytes begin, the head included, and how many they are. */
  readonly at: number;
  readonly length: number;
}

/**
 * The records of a page have the same members in the same order. One that was read member by member is the
 * template for those that follow: their names are compared with its own, four bytes at a time, and only their
 * values are read. Whatever is different is left to be read member by member.
 */
export class RecordTemplate {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  /** The first byte of a record; -1 = there is no template. */
  #head = -1;
  #members: Member[] = [];
  /** When the record that was read last arrived, in milliseconds since the epoch; NaN = it does not say. */
  arrival = NaN;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A record is read member by member: its members are to be added, and then it is to be taken as template. */
  clear(): void {
    this.#head = -1;
    this.#members = [];
  }

  add(name: number, at: number, length: number): void {
    this.#members.push({ name, at, length });
  }

  /** All of its members that have a known name were added. @param start where the record begins */
  take(start: number): void {
    const head = this.#bytes[start]!;
    const length = head & 31;
    // The number of its members is in the byte itself, and it has no others.
    if (length < UINT8_LENGTH && length === this.#members.length) this.#head = head;
  }

  /**
   * Reads a record that is like the template.
   * @param field where its fields begin in `spans`
   * @returns where it ends, or `DIFFERENT`
   */
  read(start: number, spans: Int32Array, field: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    const end = bytes.length;
    if (this.#head < 0 || bytes[start] !== this.#head) return DIFFERENT;
    for (let i = field; i < field + FIELDS; i += 1) spans[i] = NOT_THERE;
    this.arrival = NaN;
    let at = start + 1;
    for (const { name, at: nameAt, length: nameLength } of this.#members) {
      if (!this.#isAlike(at, nameAt, nameLength)) return DIFFERENT;
      at += nameLength;
      if (name === ARRIVAL) {
        at = this.#readArrival(at);
        if (at === DIFFERENT) return DIFFERENT;
        continue;
      }
      if (at + LONGEST_HEAD > end) return DIFFERENT;
      const head = bytes[at]!;
      if (head >> 5 !== (name === DATA ? BYTES : TEXT)) return DIFFERENT;
      let length = head & 31;
      at += 1;
      if (length === UINT8_LENGTH) {
        length = bytes[at]!;
        at += 1;
      } else if (length === UINT16_LENGTH) {
        length = view.getUint16(at);
        at += 2;
      } else if (length === UINT32_LENGTH) {
        length = view.getUint32(at);
        at += 4;
      } else if (length > UINT32_LENGTH) return DIFFERENT;
      if (length > end - at) return DIFFERENT;
      const of = field + FIELD_OF[name]!;
      spans[of] = at;
      at += length;
      spans[of + 1] = at;
    }
    return at;
  }

  /** Is it made of decimal digits? */
  areDigits(start: number, end: number): boolean {
    const view = this.#view;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const four = view.getInt32(at);
      // From 0x30 to 0x39: the upper half of each byte is 3, and stays 3 when 6 is added.
      if ((four & 0xf0f0f0f0) !== 0x30303030) return false;
      if (((four + 0x06060606) & 0xf0f0f0f0) !== 0x30303030) return false;
    }
    for (; at < end; at += 1) {
      const digit = this.#bytes[at]! - 48;
      if (digit < 0 || digit > 9) return false;
    }
    return true;
  }

  /** Are these the same bytes? No name is shorter than four. */
  #isAlike(at: number, other: number, length: number): boolean {
    const view = this.#view;
    if (length > this.#bytes.length - at) return false;
    const last = length - 4;
    for (let i = 0; i < last; i += 4) {
      if (view.getInt32(at + i) !== view.getInt32(other + i)) return false;
    }
    return view.getInt32(at + last) === view.getInt32(other + last);
  }

  /** A number of 64 bits, tagged or not. @returns where it ends, or `DIFFERENT` */
  #readArrival(start: number): number {
    const view = this.#view;
    let at = start;
    if (at + 1 + LONGEST_HEAD > this.#bytes.length) return DIFFERENT;
    const tag = this.#bytes[at]!;
    if (tag >> 5 === TAG && (tag & 31) < UINT8_LENGTH) at += 1;
    const head = this.#bytes[at]!;
    if (head === UINT64) {
      this.arrival = arrivalOf(view.getUint32(at + 1) * 2 ** 32 + view.getUint32(at + 5));
    } else if (head === FLOAT64) this.arrival = arrivalOf(view.getFloat64(at + 1));
    else return DIFFERENT;
    return at + LONGEST_HEAD;
  }
}

/** Seconds reach this number in the year 5138, milliseconds reached it in 1973. */
const FIRST_MILLISECONDS = 1e11;

/**
 * Milliseconds since the epoch; NaN for no time. AWS writes whole milliseconds, under the tag for seconds;
 * some emulators write seconds. @throws Error for what cannot be one
 */
export function arrivalOf(written: number | undefined): number {
  if (written === undefined) return NaN;
  const millis = Math.round(written >= FIRST_MILLISECONDS ? written : written * 1000);
  checkArrival(millis);
  return millis;
}
