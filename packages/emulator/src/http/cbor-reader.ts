/** A request has at most 500 records of four members; names and values count separately. */
const MAX_VALUES = 20_000;
/** Members of records are at depth 3. */
const MAX_DEPTH = 16;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
const INDEFINITE = 31;
const BREAK = 0xff;
/** CBOR tag 1: a time since the epoch. AWS uses milliseconds. */
const EPOCH_TAG = 1;

/**
 * Reads one value in AWS's CBOR: a timestamp becomes a `Date`, an integer a number, null and undefined become null.
 * Number and depth of values are limited to those of a valid request, because one byte of input can become an object
 * of fifty bytes.
 */
export class CborReader {
  readonly #bytes: Buffer;
  #at = 0;
  #values = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws RangeError if the input is truncated, is not CBOR, or has too many or too deeply nested values */
  read(depth: number = 0): unknown {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw new RangeError("more values than any request has");
    if (depth > MAX_DEPTH) throw new RangeError("values are nested too deeply");
    const first = this.#byte();
    const type = first >> 5;
    const info = first & 31;
    if (type > TAG) return this.#simple(info);
    const length = info === INDEFINITE ? Infinity : this.#argument(info);
    switch (type) {
      case UNSIGNED:
        return length;
      case NEGATIVE:
        return -1 - length;
      case BYTES:
        return this.#string(length, BYTES, depth);
      case TEXT:
        return this.#string(length, TEXT, depth).toString("utf8");
      case ARRAY:
        return this.#array(length, depth);
      case MAP:
        return this.#map(length, depth);
      default:
        return asTagged(length, this.read(depth + 1));
    }
  }

  #array(length: number, depth: number): unknown[] {
    const members: unknown[] = [];
    while (members.length < length && !this.#breaks(length)) members.push(this.read(depth + 1));
    return members;
  }

  #map(length: number, depth: number): Record<string, unknown> {
    const members: [string, unknown][] = [];
    while (members.length < length && !this.#breaks(length)) {
      const name = this.read(depth + 1);
      if (typeof name !== "string") throw new RangeError("a member's name is no text");
      members.push([name, this.read(depth + 1)]);
    }
    return Object.fromEntries(members);
  }

  #string(length: number, type: number, depth: number): Buffer {
    if (length !== Infinity) return this.#take(length);
    const chunks: Buffer[] = [];
    while (!this.#breaks(length)) {
      if (this.#bytes[this.#at]! >> 5 !== type) throw new RangeError("a chunk of another type");
      const chunk = this.read(depth + 1);
      chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Buffer));
    }
    return Buffer.concat(chunks);
  }

  /** Whether an item of indefinite length ends here. If so, its end is skipped. */
  #breaks(length: number): boolean {
    if (length !== Infinity || this.#bytes[this.#at] !== BREAK) return false;
    this.#at += 1;
    return true;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw new RangeError(`a head with ${info}`);
    const bytes = this.#take(2 ** (info - 24));
    return bytes.length < 8
      ? bytes.readUIntBE(0, bytes.length)
      : bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4);
  }

  #simple(info: number): boolean | number | null {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22 || info === 23) return null;
    if (info === 25) return halfFloat(this.#take(2).readUInt16BE());
    if (info === 26) return this.#take(4).readFloatBE();
    if (info === 27) return this.#take(8).readDoubleBE();
    throw new RangeError(`a simple value ${info}`);
  }

  #byte(): number {
    return this.#take(1)[0]!;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("the input is truncated");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function asTagged(tag: number, value: unknown): unknown {
  return tag === EPOCH_TAG && typeof value === "number" ? new Date(Math.round(value)) : value;
}

/** 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
