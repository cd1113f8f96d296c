const UNSIGNED = 0x00;
const NEGATIVE = 0x20;
const BYTES = 0x40;
const TEXT = 0x60;
const ARRAY = 0x80;
const MAP = 0xa0;
const TAG_1 = 0xc1;
const FALSE = 0xf4;
const TRUE = 0xf5;
const FLOAT_64 = 0xfb;

/**
 * Writes one reply in CBOR, as the service does: integers as integers, a `Date` as an integer of milliseconds with tag
 * 1. Undefined members are left out.
 */
export class CborWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 0;

  /** The bytes written so far. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** @throws TypeError for a value that no reply has */
  write(value: unknown): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else if (value instanceof Uint8Array) this.#blob(value);
    else if (value instanceof Date) {
      this.#byte(TAG_1);
      this.#number(value.getTime());
    } else if (Array.isArray(value)) {
      this.#head(ARRAY, value.length);
      for (const member of value) this.write(member);
    } else if (typeof value === "object" && value !== null) this.#map(value);
    else throw new TypeError(`CBOR of ${String(value)}`);
  }

  #map(value: object): void {
    const members = value as Readonly<Record<string, unknown>>;
    let count = 0;
    for (const name in members) if (members[name] !== undefined) count += 1;
    this.#head(MAP, count);
    for (const name in members) {
      const member = members[name];
      if (member === undefined) continue;
      this.#text(name);
      this.write(member);
    }
  }

  #text(value: string): void {
    const length = Buffer.byteLength(value);
    this.#head(TEXT, length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length);
  }

  #blob(value: Uint8Array): void {
    this.#head(BYTES, value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value >= 0) this.#head(UNSIGNED, value);
      else this.#head(NEGATIVE, -1 - value);
      return;
    }
    this.#byte(FLOAT_64);
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
  }

  /** Writes a type with its length or value, in the shortest form. */
  #head(type: number, value: number): void {
    this.#reserve(9);
    const buffer = this.#buffer;
    let at = this.#length;
    if (value < 24) buffer[at++] = type + value;
    else if (value < 0x100) {
      buffer[at++] = type + 24;
      buffer[at++] = value;
    } else if (value < 0x1_0000) {
      buffer[at++] = type + 25;
      at = buffer.writeUInt16BE(value, at);
    } else if (value < 0x1_0000_0000) {
      buffer[at++] = type + 26;
      at = buffer.writeUInt32BE(value, at);
    } else {
      buffer[at++] = type + 27;
      at = buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
      at = buffer.writeUInt32BE(value % 0x1_0000_0000, at);
    }
    this.#length = at;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
