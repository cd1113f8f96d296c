/** The bytes are not well-formed CBOR, or contain something that no reply has. */
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
/** The maximum number of decoded values, without records. A reply has a few dozen. */
const MAX_VALUES = 100_000;
/** The maximum nesting depth. A reply has four levels. */
const MAX_DEPTH = 64;
/** Up to this length, checking in JavaScript whether a string is ASCII pays off. */
const SHORT_TEXT = 32;

/** Stands for an indefinite length, which a break ends. */
export const UNTIL_BREAK = -1;

/**
 * Reads CBOR (RFC 8949) from a buffer, value by value. Byte strings are views on the buffer. Every length is
 * checked against the rest of the buffer. Values are counted, because even an empty map of one byte takes fifty
 * bytes of memory.
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

  /** Returns the major type of the next value. */
  peekType(): number {
    if (this.atEnd) throw new CborError("it is truncated");
    return this.#bytes[this.#at]! >> 5;
  }

  /** Reads the head of a value of that type. Returns its length, number or tag, or `UNTIL_BREAK`. */
  readHead(type: number): number {
    if (this.peekType() !== type) throw new CborError(`type ${this.peekType()} instead of ${type}`);
    const info = this.#bytes[this.#at]! & 31;
    this.#at += 1;
    if (info < 24) return info;
    return info === INDEFINITE ? UNTIL_BREAK : this.#readNumber(info);
  }

  /** Reads an empty array. Returns false, and reads nothing, if the next value is not one. */
  readEmptyArray(): boolean {
    if (this.#bytes[this.#at] !== ARRAY << 5) return false;
    this.#at += 1;
    return true;
  }

  /** Whether an array or map has another member. The caller counts `left` down. */
  hasMore(left: number, length: number): boolean {
    if (length !== UNTIL_BREAK) return left > 0;
    if (this.atEnd) throw new CborError("it is truncated");
    if (this.#bytes[this.#at] !== BREAK) return true;
    this.#at += 1;
    return false;
  }

  readText(): string {
    const length = this.readHead(TEXT);
    if (length === UNTIL_BREAK) return this.#chunks(TEXT).toString();
    const start = this.#skip(length);
    if (length <= SHORT_TEXT && this.#isAscii(start))
      return this.#bytes.toString("latin1", start, this.#at);
    return this.#bytes.toString("utf8", start, this.#at);
  }

  /**
   * Reads a string and returns its index in `names`; -1 if it is not one of them. Every member of every record
   * has a name: decoding each to a string would cost more than the rest of the record.
   */
  readName(names: readonly Uint8Array[]): number {
    const length = this.readHead(TEXT);
    if (length === UNTIL_BREAK) throw new CborError("a name of indefinite length");
    const start = this.#skip(length);
    for (let i = 0; i < names.length; i += 1) {
      const name = names[i]!;
      if (name.length === length && this.#equals(name, start)) return i;
    }
    return -1;
  }

  /** Skips a text or byte string of a record. Returns the offset of its content. */
  skipString(type: number): number {
    const length = this.readHead(type);
    if (length === UNTIL_BREAK) throw new CborError("a record's member of indefinite length");
    return this.#skip(length);
  }

  /** Reads a number, tagged as a time or not. Returns `undefined` for null. @throws CborError for any other value */
  readTime(): number | undefined {
    if (this.peekType() === TAG) this.#definite(TAG);
    const value = this.peekType() === 0 ? this.#definite(0) : this.readValue();
    if (typeof value === "number") return value;
    if (value === null) return undefined;
    throw new CborError("a time that is not a number");
  }

  /** The offset of the next value. */
  get at(): number {
    return this.#at;
  }

  /** Sets the offset of the next value, after the caller has read the bytes before it. */
  jump(at: number): void {
    this.#at = at;
  }

  readBytes(): Uint8Array {
    const length = this.readHead(BYTES);
    if (length === UNTIL_BREAK) return this.#chunks(BYTES);
    return new Uint8Array(this.#memory, this.#offset + this.#skip(length), length);
  }

  /** Reads any value. Maps become objects, tags are dropped. @throws CborError, also for too many or too deep values */
  readValue(): unknown {
    this.#enter();
    this.#count();
    const value = this.#readAny(this.peekType());
    this.#depth -= 1;
    return value;
  }

  /** Skips any value. @throws CborError */
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
    if (length !== UNTIL_BREAK) return void this.#skip(length);
    while (this.hasMore(0, UNTIL_BREAK)) this.#skip(this.#definite(type));
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new CborError("values are nested too deeply");
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw new CborError("it has more values than any reply");
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
    // Unlike an assignment, this treats a member named __proto__ like any other.
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
        return halfFloat(this.#bytes.readUInt16BE(this.#skip(2)));
      case 26:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 27:
        return this.#bytes.readDoubleBE(this.#skip(8));
      default:
        throw new CborError(`a simple value ${info}`);
    }
  }

  #definite(type: number): number {
    const number = this.readHead(type);
    if (number === UNTIL_BREAK) throw new CborError("an indefinite length that is not allowed");
    return number;
  }

  #readNumber(info: number): number {
    const bytes = this.#bytes;
    if (info === 24) return bytes[this.#skip(1)]!;
    if (info === 25) return bytes.readUInt16BE(this.#skip(2));
    if (info === 26) return this.#uint32(this.#skip(4));
    if (info !== 27) throw new CborError(`a head with ${info}`);
    return this.#uint32(this.#skip(4)) * 2 ** 32 + this.#uint32(this.#skip(4));
  }

  #uint32(at: number): number {
    const bytes = this.#bytes;
    const low = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return bytes[at]! * 2 ** 24 + low;
  }

  /** Skips `length` bytes and returns their offset. */
  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new CborError("it is truncated");
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
      if (length === UNTIL_BREAK) throw new CborError("a chunk of indefinite length");
      const start = this.#skip(length);
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
