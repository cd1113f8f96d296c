/** The bytes are not a valid protobuf message. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

export const VARINT = 0;
const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
/** A varint has seven bits in each byte, and 64 bits at most. */
const MAX_VARINT_BYTES = 10;
/** A tag has 32 bits: the field number, and three bits for the wire type. */
const TAGS = 2 ** 32;

/** Reads protobuf messages field by field. It allocates nothing: each call stores its result in the reader's fields. */
export class ProtobufReader {
  /** Offset of the next byte. */
  at: number;
  readonly end: number;
  /** The last tag. */
  field = 0;
  wireType = 0;
  /** Where the content of the last length-delimited field starts. It ends at `at`. */
  start = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Reads the next tag. False = `end` is reached. @throws ProtobufError */
  nextField(end: number): boolean {
    if (this.at >= end) {
      if (this.at > end) throw new ProtobufError("a field goes beyond its message");
      return false;
    }
    const tag = this.readVarint();
    this.field = tag >>> 3;
    this.wireType = tag & 7;
    if (this.field === 0) throw new ProtobufError("a field without a number");
    if (tag >= TAGS) throw new ProtobufError("a field's number is too large");
    return true;
  }

  /** Reads an unsigned integer; beyond 2^53 it is rounded. @throws ProtobufError */
  readVarint(): number {
    if (this.at >= this.end) throw new ProtobufError("it breaks off");
    const byte = this.#bytes[this.at]!;
    this.at += 1;
    return byte < 0x80 ? byte : this.#readRest(byte);
  }

  /** Reads a length-delimited field: its content is from `start` to `at`. @throws ProtobufError */
  skipBytes(): void {
    const length = this.readVarint();
    if (length > this.end - this.at) throw new ProtobufError("it breaks off");
    this.start = this.at;
    this.at += length;
  }

  /** Skips the field of the last tag. @throws ProtobufError */
  skipField(): void {
    if (this.wireType === VARINT) this.readVarint();
    else if (this.wireType === LENGTH_DELIMITED) this.skipBytes();
    else if (this.wireType === FIXED64) this.#skip(8);
    else if (this.wireType === FIXED32) this.#skip(4);
    else throw new ProtobufError(`a field of type ${this.wireType}`);
  }

  /** Reads the bytes of a varint after its first one. */
  #readRest(first: number): number {
    const bytes = this.#bytes;
    let byte = first;
    let value = first & 0x7f;
    let factor = 1;
    for (let count = 1; byte >= 0x80; count += 1) {
      if (this.at >= this.end) throw new ProtobufError("it breaks off");
      if (count === MAX_VARINT_BYTES) throw new ProtobufError("a number without an end");
      byte = bytes[this.at]!;
      this.at += 1;
      factor *= 128;
      value += (byte & 0x7f) * factor;
    }
    return value;
  }

  #skip(bytes: number): void {
    if (bytes > this.end - this.at) throw new ProtobufError("it breaks off");
    this.at += bytes;
  }
}
