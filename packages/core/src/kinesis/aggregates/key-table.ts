import { isAscii } from "node:buffer";
import { textOf } from "../short-text.ts";
import { ProtobufError } from "./protobuf-reader.ts";

/** A table may have so many entries, whatever they are for. */
const FEW_ENTRIES = 1024;
/** An entry of a table takes two bytes at least, and the user record that it is for takes six. */
const LEAST_ENTRY_AND_RECORD_BYTES = 8;
/** Most keys, and most bytes of them, that are decoded in one call. A kept key of 13 characters or more keeps those bytes. */
const MOST_KEYS_DECODED = 16;
const MOST_BYTES_DECODED = 256;

/**
 * The keys of one aggregate, as its table has them: where each one lies. Their texts are made when somebody
 * asks. All of them count as the shard's until it is found that they are not.
 */
export class KeyTable {
  readonly bytes: Buffer;
  /** So many entries at most. */
  readonly #most: number;
  /** Where each key begins and ends. */
  #spans: number[] = [];
  #texts: (string | undefined)[] = [];
  /** Whether all bytes of the table are ASCII. Known once `#texts` is filled. */
  #isAscii = false;
  /** For each key a one, if it is elsewhere; undefined = none is. */
  #elsewhere: Uint8Array | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // All of the table may come before the first user record.
    this.#most = Math.max(FEW_ENTRIES, bytes.length / LEAST_ENTRY_AND_RECORD_BYTES);
  }

  get length(): number {
    return this.#spans.length / 2;
  }

  /** Does every key belong to the shard? */
  get areAllHere(): boolean {
    return this.#elsewhere === undefined;
  }

  /** Takes an entry. A table whose entries are for nothing takes up little memory. @throws ProtobufError */
  add(start: number, end: number): void {
    if (this.length >= this.#most) throw new ProtobufError("more keys than user records");
    this.#spans.push(start, end);
  }

  /**
   * Takes the entries that lie one behind the other from `from` on, so long as they have this tag and are of
   * less than 128 bytes, as most are. The bytes go on behind `end`. @returns where they end
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
    if (entries > this.#most) throw new ProtobufError("more keys than user records");
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

  isHere(index: number): boolean {
    return this.#elsewhere === undefined || this.#elsewhere[index] === 0;
  }

  /** The key belongs to another shard. All keys were added before. */
  setElsewhere(index: number): void {
    (this.#elsewhere ??= new Uint8Array(this.length))[index] = 1;
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
    const most = this.#isAscii ? Math.min(first + MOST_KEYS_DECODED, length) : next;
    for (; next < most && this.end(next) - from <= MOST_BYTES_DECODED; next += 1)
      to = this.end(next);
    if (next === first + 1) return (texts[first] = textOf(bytes, from, to));
    const all = bytes.toString("latin1", from, to);
    for (let i = first; i < next; i += 1) {
      texts[i] = all.slice(this.start(i) - from, this.end(i) - from);
    }
    return texts[first]!;
  }
}

/** Room for so many: an array that grows is copied several times. */
function arrayOf<T>(length: number): T[] {
  // Array.from fills it one by one, which takes longer than to let it grow.
  // oxlint-disable-next-line unicorn/no-new-array
  return new Array<T>(length);
}
