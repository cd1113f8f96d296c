import { isAscii } from "node:buffer";
import { textOf } from "../short-text.ts";
import { ProtobufError } from "./protobuf-reader.ts";

/** Number of entries that a table may always have, even if no user record refers to them. */
const MIN_ENTRIES_ALLOWED = 1024;
/** Beyond that, each entry needs a user record: the entry has two bytes or more, the user record six. */
const MIN_ENTRY_AND_RECORD_BYTES = 8;
/**
 * Limits of what is decoded in one call. V8 makes a key of 13 or more characters a view of the decoded string, so a
 * kept key may keep that many bytes.
 */
const MAX_KEYS_DECODED = 16;
const MAX_BYTES_DECODED = 256;

/**
 * The table of partition keys, or of explicit hash keys, of one aggregate. It stores where each key is, and decodes
 * keys on demand. A key is in the range of the shard unless it is marked as out of range.
 */
export class KeyTable {
  readonly bytes: Buffer;
  readonly #maxEntries: number;
  /** For each key, the offsets where it starts and ends. */
  #spans: number[] = [];
  #texts: (string | undefined)[] = [];
  /** Whether all bytes of the table are ASCII. Known once `#texts` is filled. */
  #isAscii = false;
  /** For each key, 1 = out of range; undefined = all are in range. */
  #outOfRange: Uint8Array | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // The whole table may precede the first user record, so the bytes limit it, not the user records read so far.
    this.#maxEntries = Math.max(MIN_ENTRIES_ALLOWED, bytes.length / MIN_ENTRY_AND_RECORD_BYTES);
  }

  get length(): number {
    return this.#spans.length / 2;
  }

  /** Whether every key is in the range of the shard. */
  get areAllInRange(): boolean {
    return this.#outOfRange === undefined;
  }

  /** Adds an entry. @throws ProtobufError if there are too many: unused entries must not fill the memory */
  add(start: number, end: number): void {
    if (this.length >= this.#maxEntries) throw new ProtobufError("more keys than user records");
    this.#spans.push(start, end);
  }

  /**
   * Adds consecutive entries from `from` on, while they have this tag and less than 128 bytes, as most have.
   * @param end end of the message. The digest follows it, so reading beyond stays within the bytes
   * @returns where the first other field starts
   * @throws ProtobufError as `add`
   */
  addRun(tag: number, from: number, end: number): number {
    const { bytes } = this;
    let to = from;
    let entries = 0;
    while (to < end && bytes[to] === tag) {
      const length = bytes[to + 1]!;
      if (length >= 0x80 || to + 2 + length > end) break;
      to += 2 + length;
      entries += 1;
    }
    if (this.#spans.length > 0) {
      for (let at = from; at < to; at += 2 + bytes[at + 1]!)
        this.add(at + 2, at + 2 + bytes[at + 1]!);
      return to;
    }
    if (entries > this.#maxEntries) throw new ProtobufError("more keys than user records");
    const spans = arrayOf<number>(2 * entries);
    for (let i = 0, at = from; i < spans.length; i += 2) {
      spans[i] = at + 2;
      spans[i + 1] = at += 2 + bytes[at + 1]!;
    }
    this.#spans = spans;
    return to;
  }

  start(index: number): number {
    return this.#spans[2 * index]!;
  }

  end(index: number): number {
    return this.#spans[2 * index + 1]!;
  }

  text(index: number): string {
    return this.#texts[index] ?? this.#decode(index);
  }

  isInRange(index: number): boolean {
    return this.#outOfRange === undefined || this.#outOfRange[index] === 0;
  }

  /** Marks a key of another shard. Call it once all keys were added. */
  setOutOfRange(index: number): void {
    (this.#outOfRange ??= new Uint8Array(this.length))[index] = 1;
  }

  /**
   * Decodes this key and some that follow it. Each decoding is a call into Node, so their bytes are decoded as one
   * string, and each key is a part of it.
   */
  #decode(first: number): string {
    const { bytes, length } = this;
    if (this.#texts.length === 0) {
      this.#texts = arrayOf<string | undefined>(length);
      this.#isAscii = isAscii(bytes.subarray(this.start(0), this.end(length - 1)));
    }
    const texts = this.#texts;
    const from = this.start(first);
    let next = first + 1;
    let to = this.end(first);
    const most = this.#isAscii ? Math.min(first + MAX_KEYS_DECODED, length) : next;
    for (; next < most && this.end(next) - from <= MAX_BYTES_DECODED; next += 1)
      to = this.end(next);
    if (next === first + 1) return (texts[first] = textOf(bytes, from, to));
    const all = bytes.toString("latin1", from, to);
    for (let i = first; i < next; i += 1) {
      texts[i] = all.slice(this.start(i) - from, this.end(i) - from);
    }
    return texts[first]!;
  }
}

/** An array with capacity for its elements: one that grows is copied several times. */
function arrayOf<T>(length: number): T[] {
  // Array.from assigns each element, which takes longer than to let the array grow.
  // oxlint-disable-next-line unicorn/no-new-array
  return new Array<T>(length);
}
