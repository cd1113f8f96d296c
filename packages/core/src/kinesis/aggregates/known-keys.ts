import { textOf } from "../short-text.ts";

/** So many keys are known at most. With more of them, nothing is known again. */
const MOST_KEYS = 512;
/** A power of two, so that half of the slots are free. */
const SLOTS = 2 * MOST_KEYS;
/** A key is looked for in so many slots: a producer can choose keys that have one and the same. */
const MOST_STEPS = 16;
/** Longer keys are not kept, in bytes. */
const MOST_BYTES = 64;

/** Room for the keys' bytes, at first. No key is longer. */
const FIRST_BYTES = 1024;

/** A key of user records. */
export interface KnownKey {
  readonly text: string;
  /** Does it belong to the shard? Undefined = nobody has asked yet. */
  isHere: boolean | undefined;
}

interface HashedKey extends KnownKey {
  readonly hash: number;
  /** Where its bytes are kept, and how many they are. */
  readonly at: number;
  readonly length: number;
}

/**
 * The partition keys that one shard's aggregates had lately, as text, with what was found out about them:
 * producers repeat their keys from one aggregate to the next. It is a hash table with open addresses, which
 * is emptied when it is full, so that keys without an end take up no more memory. A key whose slots
 * are all taken is not kept.
 */
export class KnownKeys {
  readonly #slots: (HashedKey | undefined)[] = Array.from<undefined>({ length: SLOTS });
  #keys = 0;
  /** The bytes of all keys: to compare them is quicker than to compare texts. */
  #bytes = new Uint8Array(FIRST_BYTES);
  #end = 0;

  /** @param bytes has the key in UTF-8 from `start` to `end` */
  of(bytes: Buffer, start: number, end: number): KnownKey {
    let hash = 0x811c9dc5 | 0;
    let all = 0;
    for (let i = start; i < end; i += 1) {
      const byte = bytes[i]!;
      hash = Math.imul(hash ^ byte, 0x01000193);
      all |= byte;
    }
    // Keys that are malformed share a text. So what is not ASCII has none that is its alone.
    if (all >= 0x80 || end - start > MOST_BYTES) return unknown(bytes, start, end);
    const home = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    let slot = home;
    let steps = 0;
    for (let known = this.#slots[slot]; known !== undefined; known = this.#slots[slot]) {
      if (known.hash === hash && this.#isIt(known, bytes, start, end)) return known;
      slot = (slot + 1) & (SLOTS - 1);
      steps += 1;
      if (steps === MOST_STEPS) return unknown(bytes, start, end);
    }
    if (this.#keys === MOST_KEYS) {
      this.#slots.fill(undefined);
      this.#keys = 0;
      this.#end = 0;
      slot = home;
    }
    const length = end - start;
    const text = textOf(bytes, start, end);
    const key = { text, isHere: undefined, hash, at: this.#keep(bytes, start, end), length };
    this.#slots[slot] = key;
    this.#keys += 1;
    return key;
  }

  #isIt({ at, length }: HashedKey, bytes: Uint8Array, start: number, end: number): boolean {
    if (length !== end - start) return false;
    const kept = this.#bytes;
    for (let i = 0; i < length; i += 1) if (kept[at + i] !== bytes[start + i]) return false;
    return true;
  }

  /** Keeps the key's bytes, and returns where. */
  #keep(bytes: Uint8Array, start: number, end: number): number {
    const at = this.#end;
    this.#end += end - start;
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes.subarray(start, end), at);
    return at;
  }
}

function unknown(bytes: Buffer, start: number, end: number): KnownKey {
  return { text: textOf(bytes, start, end), isHere: undefined };
}
