import { ReplyMemory } from "../reply-memory.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { BadReplyError, type ReplyHead } from "./reply-head.ts";

/**
 * A reply that goes on beyond its end is noticed by the read that ends it: by the next read, another
 * request may be under way, and take the rest for its reply.
 */
const BEYOND = 1;
const LENGTH = /^[0-9]{1,19}$/;

/**
 * The body of one reply, as it comes: counted, chunked, or up to the connection's end. A counted body
 * is read from the socket into the memory in which it stays.
 */
export class ReplyBody {
  readonly #memory: ReplyMemory;
  readonly #chunked: ChunkedDecoder | undefined;
  /** Infinity = it ends with the connection. */
  readonly #length: number;

  /** @param onBytes as of `ReplyMemory`. @throws BadReplyError; what `onBytes` throws */
  constructor(head: ReplyHead, method: string, onBytes: (bytes: number) => void) {
    this.#length = hasNoBody(head.statusCode, method) ? 0 : lengthOf(head.headers);
    const isChunked = this.#length > 0 && isChunkedCoding(head.headers);
    this.#chunked = isChunked ? new ChunkedDecoder() : undefined;
    const isCounted = this.#length > 0 && this.#length < Infinity;
    this.#memory = new ReplyMemory(isCounted ? this.#length + BEYOND : 0, onBytes);
  }

  get done(): boolean {
    return this.#chunked?.done ?? this.#memory.length >= this.#length;
  }

  /** Does it end where the connection ends? */
  get endsWithConnection(): boolean {
    return this.#chunked === undefined && this.#length === Infinity;
  }

  /** May the socket write what comes next into the body's own memory? */
  get hasRoom(): boolean {
    return this.#chunked === undefined && !this.done;
  }

  /** Where the socket may write what comes next, and `BEYOND` of what follows the body; undefined = nowhere. */
  room(): Uint8Array | undefined {
    if (!this.hasRoom) return undefined;
    return this.#memory.room().subarray(0, this.#length - this.#memory.length + BEYOND);
  }

  /** So many bytes were written into `room`. @returns how many of them are the body's */
  took(bytes: number): number {
    const own = Math.min(bytes, this.#length - this.#memory.length);
    this.#memory.took(own);
    return own;
  }

  /** @returns how many of these bytes are the body's */
  add(bytes: Uint8Array): number {
    if (this.#chunked !== undefined) {
      return this.#chunked.decode(bytes, (piece) => this.#memory.add(piece));
    }
    const own = bytes.subarray(0, this.#length - this.#memory.length);
    this.#memory.add(own);
    return own.byteLength;
  }

  bytes(): Uint8Array {
    return this.#memory.bytes();
  }
}

function hasNoBody(statusCode: number, method: string): boolean {
  return statusCode === 204 || statusCode === 304 || method === "HEAD";
}

function lengthOf(headers: ReplyHead["headers"]): number {
  const announced = headers["content-length"];
  if (headers["transfer-encoding"] !== undefined) {
    if (announced !== undefined) throw new BadReplyError("its body has a length and is chunked");
    return Infinity;
  }
  if (announced === undefined) return Infinity;
  if (!LENGTH.test(announced)) throw new BadReplyError("its length is no number");
  return Number(announced);
}

function isChunkedCoding(headers: ReplyHead["headers"]): boolean {
  const coding = headers["transfer-encoding"]?.toLowerCase();
  if (coding === undefined) return false;
  if (coding !== "chunked") throw new BadReplyError("its transfer coding is not known");
  return true;
}
