import { BYTES, TAG, TEXT } from "./cbor-reader.ts";
import { checkArrival } from "./records-reply.ts";

/** The names of a record's members, in the order in which the service writes them. */
export const NAMES = [
  "SequenceNumber",
  "ApproximateArrivalTimestamp",
  "Data",
  "PartitionKey",
  "EncryptionType",
].map((name) => Buffer.from(name));
export const ARRIVAL = 1;
export const DATA = 2;

/** The number of fields per record: start and end of sequence number, data, key and encryption type. */
export const FIELDS = 8;
/** The first field of each member, by its index in `NAMES`. The arrival is a number, and is stored elsewhere. */
export const FIELD_OF = [0, -1, 2, 4, 6];
export const NOT_THERE = -1;

/** The record does not have the members of the template. */
export const DIFFERENT = -1;

/** The maximum length of a value's head: one byte, and a 64-bit number. */
const MAX_HEAD = 9;
const UINT64 = 0x1b;
const FLOAT64 = 0xfb;
const UINT8_LENGTH = 24;
const UINT16_LENGTH = 25;
const UINT32_LENGTH = 26;

interface Member {
  readonly name: number;
  /** Offset and length of the encoded name, including its head. */
  readonly at: number;
  readonly length: number;
}

/**
 * Reads records that have the same members in the same order, as those of a page usually have. A record that was
 * read member by member becomes the template. The names in the next records are compared with the template's, four
 * bytes at a time, and only the values are read. A record that differs is read member by member.
 */
export class RecordTemplate {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  /** The first byte of a record; -1 = no template. */
  #head = -1;
  #members: Member[] = [];
  /** The arrival time of the last record, in milliseconds since the epoch; NaN = absent. */
  arrival = NaN;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Discards the template. The caller adds the members of another record with `add`, then calls `take`. */
  clear(): void {
    this.#head = -1;
    this.#members = [];
  }

  add(name: number, at: number, length: number): void {
    this.#members.push({ name, at, length });
  }

  /** Makes the record whose members were added the template. @param start the offset of the record */
  take(start: number): void {
    const head = this.#bytes[start]!;
    const length = head & 31;
    // The number of members is in the byte itself, and all members have known names.
    if (length < UINT8_LENGTH && length === this.#members.length) this.#head = head;
  }

  /**
   * Reads a record that has the template's members.
   * @param field the index of the record's first field in `spans`
   * @returns the end of the record, or `DIFFERENT`
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
      if (!this.#isEqual(at, nameAt, nameLength)) return DIFFERENT;
      at += nameLength;
      if (name === ARRIVAL) {
        at = this.#readArrival(at);
        if (at === DIFFERENT) return DIFFERENT;
        continue;
      }
      if (at + MAX_HEAD > end) return DIFFERENT;
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

  /** Whether all bytes are decimal digits. */
  areDigits(start: number, end: number): boolean {
    const view = this.#view;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const four = view.getInt32(at);
      // Digits are 0x30 to 0x39: the upper half of the byte is 3, and stays 3 after adding 6.
      if ((four & 0xf0f0f0f0) !== 0x30303030) return false;
      if (((four + 0x06060606) & 0xf0f0f0f0) !== 0x30303030) return false;
    }
    for (; at < end; at += 1) {
      const digit = this.#bytes[at]! - 48;
      if (digit < 0 || digit > 9) return false;
    }
    return true;
  }

  /** Whether two ranges have the same bytes. No name is shorter than four bytes. */
  #isEqual(at: number, other: number, length: number): boolean {
    const view = this.#view;
    if (length > this.#bytes.length - at) return false;
    const last = length - 4;
    for (let i = 0; i < last; i += 4) {
      if (view.getInt32(at + i) !== view.getInt32(other + i)) return false;
    }
    return view.getInt32(at + last) === view.getInt32(other + last);
  }

  /** Reads a 64-bit number, tagged or not. @returns its end, or `DIFFERENT` */
  #readArrival(start: number): number {
    const view = this.#view;
    let at = start;
    if (at + 1 + MAX_HEAD > this.#bytes.length) return DIFFERENT;
    const tag = this.#bytes[at]!;
    if (tag >> 5 === TAG && (tag & 31) < UINT8_LENGTH) at += 1;
    const head = this.#bytes[at]!;
    if (head === UINT64) {
      this.arrival = arrivalOf(view.getUint32(at + 1) * 2 ** 32 + view.getUint32(at + 5));
    } else if (head === FLOAT64) this.arrival = arrivalOf(view.getFloat64(at + 1));
    else return DIFFERENT;
    return at + MAX_HEAD;
  }
}

/** From this number on, a time is in milliseconds: they reached it in 1973, and seconds reach it in 5138. */
const MIN_MILLISECONDS = 1e11;

/**
 * Converts an arrival time to milliseconds since the epoch; NaN if absent. AWS writes whole milliseconds, although
 * with the tag for seconds. Some emulators write seconds. @throws Error if no record can have arrived then
 */
export function arrivalOf(written: number | undefined): number {
  if (written === undefined) return NaN;
  const millis = Math.round(written >= MIN_MILLISECONDS ? written : written * 1000);
  checkArrival(millis);
  return millis;
}
