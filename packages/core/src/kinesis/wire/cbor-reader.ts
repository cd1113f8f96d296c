/** The bytes are no well-formed CBOR, or hold what no reply has. */
export class CborError extends Error {
  override readonly name = "CborError";
}

export const BYTES = 2;
export const TEXT = 3;
export const ARRAY = 4;
export const MAP = 5;
export const TAG = 6;

const INDEFINITE = 31;
const BREAK = 0xff;
/** So many values of a reply are made at most, its records apart: a reply has a few dozen. */
const MOST_VALUES = 100_000;
/** So deep do values lie in each other at most: those of a reply lie in four. */
const MOST_DEPTH = 64;
/** Up to here, finding out in JavaScript whether a text is ASCII is worth it. */
const SHORT_TEXT = 32;

/** Stands for a length that only a break at the end shows. */
export const UNTIL_BREAK = -1;

/**
 * Reads CBOR (RFC 8949) from one piece of memory, value by value; byte strings are views on it.
 * Every length is checked against what is left, and values are counted, for even an empty map of one
 * byte takes fifty bytes of memory.
 */
export class CborReader {
  readonly #bytes: Buffer;
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;
  #at = 0;
  #values = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#memory = bytes.buffer;
    this.#offset = bytes.byteOffset;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The major type of the value that comes next. */
  peekType(): number {
    if (this.atEnd) throw new CborError("it breaks off");
    return this.#bytes[this.#at]! >> 5;
  }

  /** Takes the head of a value of that type: its length, number or tag, or `UNTIL_BREAK`. */
  readHead(type: number): number {
    if (this.peekType() !== type)
      throw new CborError(`type ${this.peekType()} where ${type} was due`);
    const info = this.#bytes[this.#at]! & 31;
    this.#at += 1;
    if (info < 24) return info;
    return info === INDEFINITE ? UNTIL_BREAK : this.#readNumber(info);
  }

  /** Takes an array without members, if one comes next. */
  takeEmptyArray(): boolean {
    if (this.#bytes[this.#at] !== ARRAY << 5) return false;
    this.#at += 1;
    return true;
  }

  /** For the members of an array or map: is there one more? `left` is counted by the caller. */
  hasMore(left: number, length: number): boolean {
    if (length !== UNTIL_BREAK) return left > 0;
    if (this.atEnd) throw new CborError("it breaks off");
    if (this.#bytes[this.#at] !== BREAK) return true;
    this.#at += 1;
    return false;
  }

  readText(): string {
    const length = this.readHead(TEXT);
    if (length === UNTIL_BREAK) return this.#chunks(TEXT).toString();
    const start = this.#take(length);
    if (length <= SHORT_TEXT && this.#isAscii(start))
      return this.#bytes.toString("latin1", start, this.#at);
    return this.#bytes.toString("utf8", start, this.#at);
  }

  /**
   * Takes a text that is one of these names, and returns its index; -1 for another. A record's names are
   * read as often as its members: making a text of each costs more than all else of a record.
   */
  readName(names: readonly Uint8Array[]): number {
    const length = this.readHead(TEXT);
    if (length === UNTIL_BREAK) throw new CborError("a name in chunks");
    const start = this.#take(length);
    for (let i = 0; i < names.length; i += 1) {
      const name = names[i]!;
      if (name.length === length && this.#equals(name, start)) return i;
    }
    return -1;
  }

  /** Takes a text or byte string of a record and returns where its content begins. */
  skipString(type: number): number {
    const length = this.readHead(type);
    if (length === UNTIL_BREAK) throw new CborError("a record's member in chunks");
    return this.#take(length);
  }

  /** A number, tagged as a time or not; undefined for null. @throws CborError for any other value */
  readTime(): number | undefined {
    if (this.peekType() === TAG) this.#definite(TAG);
    const value = this.peekType() === 0 ? this.#definite(0) : this.readValue();
    if (typeof value === "number") return value;
    if (value === null) return undefined;
    throw new CborError("a time that is no number");
  }

  /** Where the next value begins. */
  get at(): number {
    return this.#at;
  }

  /** What comes before this was read by others. */
  jump(at: number): void {
    this.#at = at;
  }

  readBytes(): Uint8Array {
    const length = this.readHead(BYTES);
    if (length === UNTIL_BREAK) return this.#chunks(BYTES);
    return new Uint8Array(this.#memory, this.#offset + this.#take(length), length);
  }

  /** Any value: maps as objects, tags dropped. @throws CborError, for too many and too deep ones too */
  readValue(): unknown {
    this.#enter();
    this.#count();
    const value = this.#readAny(this.peekType());
    this.#depth -= 1;
    return value;
  }

  /** Takes any value and makes nothing of it. @throws CborError */
  skipValue(): void {
    const type = this.peekType();
    if (type === BYTES || type === TEXT) return this.#skipString(type);
    if (type !== ARRAY && type !== MAP && type !== TAG) {
      if (type < BYTES) this.#definite(type);
      else this.#readSimple();
      return;
    }
    this.#enter();
    if (type === TAG) {
      this.#definite(type);
      this.skipValue();
    } else {
      const length = this.readHead(type);
      for (let left = length; this.hasMore(left, length); left -= 1) {
        if (type === MAP) this.skipValue();
        this.skipValue();
      }
    }
    this.#depth -= 1;
  }

  #skipString(type: number): void {
    const length = this.readHead(type);
    if (length !== UNTIL_BREAK) return void this.#take(length);
    while (this.hasMore(0, UNTIL_BREAK)) this.#take(this.#definite(type));
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH) throw new CborError("values lie too deep in each other");
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > MOST_VALUES) throw new CborError("it has more values than any reply");
  }

  #readAny(type: number): unknown {
    if (type === 0) return this.#definite(type);
    if (type === 1) return -1 - this.#definite(type);
    if (type === BYTES) return this.readBytes();
    if (type === TEXT) return this.readText();
    if (type === ARRAY) return this.#readArray();
    if (type === MAP) return this.#readMap();
    if (type === TAG) {
      this.#definite(type);
      return this.readValue();
    }
    return this.#readSimple();
  }

  #readArray(): unknown[] {
    const length = this.readHead(ARRAY);
    const values: unknown[] = [];
    for (let left = length; this.hasMore(left, length); left -= 1) values.push(this.readValue());
    return values;
  }

  #readMap(): Record<string, unknown> {
    const length = this.readHead(MAP);
    const members: [string, unknown][] = [];
    for (let left = length; this.hasMore(left, length); left -= 1) {
      members.push([this.readText(), this.readValue()]);
    }
    // A member called __proto__ is a member like others.
    return Object.fromEntries(members);
  }

  #readSimple(): unknown {
    const info = this.#bytes[this.#at]! & 31;
    this.#at += 1;
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 25:
        return halfFloat(this.#bytes.readUInt16BE(this.#take(2)));
      case 26:
        return this.#bytes.readFloatBE(this.#take(4));
      case 27:
        return this.#bytes.readDoubleBE(this.#take(8));
      default:
        throw new CborError(`a simple value ${info}`);
    }
  }

  #definite(type: number): number {
    const number = this.readHead(type);
    if (number === UNTIL_BREAK) throw new CborError("a number without an end");
    return number;
  }

  #readNumber(info: number): number {
    const bytes = this.#bytes;
    if (info === 24) return bytes[this.#take(1)]!;
    if (info === 25) return bytes.readUInt16BE(this.#take(2));
    if (info === 26) return this.#uint32(this.#take(4));
    if (info !== 27) throw new CborError(`a head with ${info}`);
    return this.#uint32(this.#take(4)) * 2 ** 32 + this.#uint32(this.#take(4));
  }

  #uint32(at: number): number {
    const bytes = this.#bytes;
    const low = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return bytes[at]! * 2 ** 24 + low;
  }

  /** Where the next `length` bytes begin; they are taken. */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new CborError("it breaks off");
    this.#at = start + length;
    return start;
  }

  #equals(name: Uint8Array, start: number): boolean {
    const bytes = this.#bytes;
    const { length } = name;
    for (let i = 0; i < length; i += 1) if (bytes[start + i] !== name[i]) return false;
    return true;
  }

  #isAscii(start: number): boolean {
    for (let i = start; i < this.#at; i += 1) if (this.#bytes[i]! > 127) return false;
    return true;
  }

  #chunks(type: number): Buffer {
    const chunks: Uint8Array[] = [];
    while (this.hasMore(0, UNTIL_BREAK)) {
      this.#count();
      const length = this.readHead(type);
      if (length === UNTIL_BREAK) throw new CborError("a chunk without an end");
      const start = this.#take(length);
      chunks.push(this.#bytes.subarray(start, this.#at));
    }
    return Buffer.concat(chunks);
  }
}

function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}
