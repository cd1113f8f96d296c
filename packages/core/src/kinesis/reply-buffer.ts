import { UnexpectedReplyError } from "./reply-shapes.ts";

const MIB = 1024 * 1024;

/** An announced length is trusted up to this size. */
const MAX_ANNOUNCED = 16 * MIB;
/** No GetRecords reply is longer: 10 MiB of data in base64, and the rest of the JSON. */
const MAX_BODY = 32 * MIB;
const INITIAL_SIZE = 16 * 1024;

/**
 * A contiguous buffer for the body of one reply. Records may be views on it, and nothing else shares its
 * memory. If the length was announced, it is allocated once.
 */
export class ReplyBuffer {
  readonly #onBytes: (bytes: number) => void;
  #bytes: Uint8Array;
  #length = 0;

  /**
   * @param announced the length of the body; 0 = unknown
   * @param onBytes called with the size of the buffer before it is allocated, and with each chunk of the
   * body; if it throws, reading the body fails
   */
  constructor(announced: number, onBytes: (bytes: number) => void) {
    const expected = Math.min(announced, MAX_ANNOUNCED);
    onBytes(expected);
    this.#onBytes = onBytes;
    this.#bytes = allocate(expected);
  }

  get length(): number {
    return this.#length;
  }

  /** Returns the free space for the next bytes, never empty. The caller writes there, then calls `commit`. */
  free(): Uint8Array {
    if (this.#length === this.#bytes.byteLength) {
      const wanted = Math.min(this.#length + INITIAL_SIZE, MAX_BODY);
      this.#reserve(Math.max(wanted, this.#length + 1));
    }
    return this.#bytes.subarray(this.#length);
  }

  /** @param bytes how many bytes were written to the space that `free` returned */
  commit(bytes: number): void {
    this.#length += bytes;
    this.#onBytes(this.#bytes.byteLength);
  }

  add(chunk: Uint8Array): void {
    this.#reserve(this.#length + chunk.byteLength);
    this.#bytes.set(chunk, this.#length);
    this.commit(chunk.byteLength);
  }

  /** Returns everything that was written. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    const had = this.#bytes.byteLength;
    if (length <= had) return;
    if (length > MAX_BODY) {
      throw new UnexpectedReplyError(
        `the reply is longer than ${MAX_BODY / MIB} MiB: is the endpoint that of Kinesis?`,
      );
    }
    const needed = Math.max(Math.min(2 * had, MAX_BODY), length);
    this.#onBytes(needed);
    const larger = allocate(needed);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** A `Uint8Array`, as records' data are, and not from Node's buffer pool. */
function allocate(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, byteOffset, length);
}
