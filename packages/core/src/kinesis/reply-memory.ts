import { UnexpectedReplyError } from "./reply-shapes.ts";

const MIB = 1024 * 1024;

/** What is taken at its word of a reply's announced length. */
const LONGEST_ANNOUNCED = 16 * MIB;
/** No reply of GetRecords is longer: 10 MiB of data in base64, and what JSON has beside them. */
const LONGEST_BODY = 32 * MIB;
const FIRST_ROOM = 16 * 1024;

/**
 * The memory of one reply's body, in one piece: records that are views on it share it with nothing
 * else. It is large enough from the start if the length was announced.
 */
export class ReplyMemory {
  readonly #onBytes: (bytes: number) => void;
  #bytes: Uint8Array;
  #length = 0;

  /**
   * @param announced the body's length; 0 = not known
   * @param onBytes called with the size of the memory before it is allocated, and with each piece of
   * the body; what it throws breaks the body off
   */
  constructor(announced: number, onBytes: (bytes: number) => void) {
    const expected = Math.min(announced, LONGEST_ANNOUNCED);
    onBytes(expected);
    this.#onBytes = onBytes;
    this.#bytes = allocate(expected);
  }

  get length(): number {
    return this.#length;
  }

  /** Where the next bytes go: never empty. Whoever writes there says so with `took`. */
  room(): Uint8Array {
    if (this.#length === this.#bytes.byteLength) {
      const wanted = Math.min(this.#length + FIRST_ROOM, LONGEST_BODY);
      this.#reserve(Math.max(wanted, this.#length + 1));
    }
    return this.#bytes.subarray(this.#length);
  }

  /** So many bytes were written into `room`. */
  took(bytes: number): void {
    this.#length += bytes;
    this.#onBytes(this.#bytes.byteLength);
  }

  add(chunk: Uint8Array): void {
    this.#reserve(this.#length + chunk.byteLength);
    this.#bytes.set(chunk, this.#length);
    this.took(chunk.byteLength);
  }

  /** All that was taken. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    const had = this.#bytes.byteLength;
    if (length <= had) return;
    if (length > LONGEST_BODY) {
      throw new UnexpectedReplyError(
        `the reply goes on beyond ${LONGEST_BODY / MIB} MiB: is the endpoint that of Kinesis?`,
      );
    }
    const needed = Math.max(Math.min(2 * had, LONGEST_BODY), length);
    this.#onBytes(needed);
    const larger = allocate(needed);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** As plain bytes, for records' data are such, and not from Node's pool. */
function allocate(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, byteOffset, length);
}

/** The connection ended in the middle of a reply. */
export function brokenOff(): Error {
  return Object.assign(new Error("the connection closed before the reply had ended"), {
    code: "ECONNRESET",
  });
}
