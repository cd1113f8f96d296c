import { ReplyBuffer } from "../reply-buffer.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { BadReplyError, type ReplyHead } from "./reply-head.ts";

/**
 * The last read of a body may read this many bytes more, to detect a reply that is longer than announced.
 * The next read would be too late: another request may be in flight by then, and get the rest as its reply.
 */
const EXCESS = 1;
const LENGTH = /^[0-9]{1,19}$/;

/**
 * The body of one reply while it is received. Its end is known by content-length, by chunked coding, or by
 * the end of the connection. Without chunked coding, the socket writes directly into the body's buffer.
 */
export class ReplyBody {
  readonly #buffer: ReplyBuffer;
  readonly #chunked: ChunkedDecoder | undefined;
  /** Infinity = the body ends when the connection closes. */
  readonly #length: number;

  /** @param onBytes as for `ReplyBuffer`. @throws BadReplyError; what `onBytes` throws */
  constructor(head: ReplyHead, method: string, onBytes: (bytes: number) => void) {
    this.#length = hasNoBody(head.statusCode, method) ? 0 : lengthOf(head.headers);
    const isChunked = this.#length > 0 && isChunkedCoding(head.headers);
    this.#chunked = isChunked ? new ChunkedDecoder() : undefined;
    const hasLength = this.#length > 0 && this.#length < Infinity;
    this.#buffer = new ReplyBuffer(hasLength ? this.#length + EXCESS : 0, onBytes);
  }

  get done(): boolean {
    return this.#chunked?.done ?? this.#buffer.length >= this.#length;
  }

  /** Whether the body ends when the connection closes. */
  get endsWithConnection(): boolean {
    return this.#chunked === undefined && this.#length === Infinity;
  }

  /** Whether the socket may write the next bytes directly into the body's buffer. */
  get isWritable(): boolean {
    return this.#chunked === undefined && !this.done;
  }

  /** Returns the space for the next bytes, with `EXCESS` bytes more; `undefined` if it is not writable. */
  free(): Uint8Array | undefined {
    if (!this.isWritable) return undefined;
    return this.#buffer.free().subarray(0, this.#length - this.#buffer.length + EXCESS);
  }

  /**
   * @param bytes how many bytes were written to the space that `free` returned
   * @returns how many of them belong to the body
   */
  commit(bytes: number): number {
    const own = Math.min(bytes, this.#length - this.#buffer.length);
    this.#buffer.commit(own);
    return own;
  }

  /** @returns how many of these bytes belong to the body */
  add(bytes: Uint8Array): number {
    if (this.#chunked !== undefined) {
      return this.#chunked.decode(bytes, (piece) => this.#buffer.add(piece));
    }
    const own = bytes.subarray(0, this.#length - this.#buffer.length);
    this.#buffer.add(own);
    return own.byteLength;
  }

  bytes(): Uint8Array {
    return this.#buffer.bytes();
  }
}

function hasNoBody(statusCode: number, method: string): boolean {
  return statusCode === 204 || statusCode === 304 || method === "HEAD";
}

function lengthOf(headers: ReplyHead["headers"]): number {
  const announced = headers["content-length"];
  if (headers["transfer-encoding"] !== undefined) {
    if (announced !== undefined)
      throw new BadReplyError("it has both content-length and transfer-encoding");
    return Infinity;
  }
  if (announced === undefined) return Infinity;
  if (!LENGTH.test(announced)) throw new BadReplyError("its content-length is not a number");
  return Number(announced);
}

function isChunkedCoding(headers: ReplyHead["headers"]): boolean {
  const coding = headers["transfer-encoding"]?.toLowerCase();
  if (coding === undefined) return false;
  if (coding !== "chunked") throw new BadReplyError("its transfer coding is not supported");
  return true;
}
