import type { HashKeyRange } from "../hash-key-range.ts";
import { MAX_SHORT } from "../md5/layout.ts";
import { MAX_MESSAGES, sharedMd5, sharedShortMd5 } from "../md5/md5.ts";
import { MAX_SHORT_BYTES } from "../md5/short-md5.ts";
import type { KeyTable } from "./key-table.ts";

const HASH_KEY = /^\d{1,39}$/;
const LAST_HASH_KEY = 2n ** 128n - 1n;
const WORDS = 4;

/** The digests of either MD5: see `Md5.wordOf`. */
interface Digests {
  wordOf(index: number, word: number): number;
}

/** Indices of the keys that are being digested, in the order of their digests. */
class Pending {
  readonly keys: Int32Array;
  length = 0;

  constructor(most: number) {
    this.keys = new Int32Array(most);
  }

  add(key: number): void {
    this.keys[this.length] = key;
    this.length += 1;
  }
}

/** The keys of a shard, by its hash key range: a partition key belongs to it by its MD5, an explicit hash key by itself. */
export class ShardKeys {
  /** Whether every key belongs to the shard. */
  readonly hasAll: boolean;
  readonly #start: bigint;
  readonly #end: bigint;
  readonly #startWords: Uint32Array;
  readonly #endWords: Uint32Array;
  readonly #short = new Pending(MAX_SHORT);
  readonly #long = new Pending(MAX_MESSAGES);

  constructor({ startingHashKey, endingHashKey }: HashKeyRange) {
    this.#start = BigInt(startingHashKey);
    this.#end = BigInt(endingHashKey);
    this.#startWords = wordsOf(this.#start);
    this.#endWords = wordsOf(this.#end);
    this.hasAll = this.#start === 0n && this.#end === LAST_HASH_KEY;
  }

  /** Marks the partition keys that belong to other shards. */
  markOutOfRange(keys: KeyTable): void {
    const { bytes, length } = keys;
    const short = sharedShortMd5();
    const long = sharedMd5();
    for (let i = 0; i < length; i += 1) {
      const start = keys.start(i);
      const end = keys.end(i);
      if (end - start > MAX_SHORT_BYTES) {
        if (this.#long.length === MAX_MESSAGES) this.#digestLong(keys);
        long.add(bytes, start, end);
        this.#long.add(i);
        continue;
      }
      if (!short.add(start, end)) {
        this.#digestShort(keys);
        short.add(start, end);
      }
      this.#short.add(i);
    }
    this.#digestShort(keys);
    this.#digestLong(keys);
  }

  /** Whether an explicit hash key belongs to the shard. An invalid one does, so that its record is delivered. */
  includesHashKey(hashKey: string): boolean {
    if (!HASH_KEY.test(hashKey)) return true;
    const value = BigInt(hashKey);
    if (value > LAST_HASH_KEY) return true;
    return value >= this.#start && value <= this.#end;
  }

  #digestShort(keys: KeyTable): void {
    const short = sharedShortMd5();
    try {
      short.digest(keys.bytes);
      this.#mark(short, this.#short, keys);
    } finally {
      this.#short.length = 0;
    }
  }

  #digestLong(keys: KeyTable): void {
    const long = sharedMd5();
    try {
      long.digest();
      this.#mark(long, this.#long, keys);
    } finally {
      this.#long.length = 0;
    }
  }

  #mark(digests: Digests, { keys: pending, length }: Pending, keys: KeyTable): void {
    for (let i = 0; i < length; i += 1) {
      if (!this.#includes(digests, i)) keys.setOutOfRange(pending[i]!);
    }
  }

  #includes(digests: Digests, index: number): boolean {
    // Nearly always the highest word decides.
    const word = digests.wordOf(index, 0);
    if (word > this.#startWords[0]! && word < this.#endWords[0]!) return true;
    return (
      compare(digests, index, this.#startWords) >= 0 && compare(digests, index, this.#endWords) <= 0
    );
  }
}

function wordsOf(hashKey: bigint): Uint32Array {
  return Uint32Array.from({ length: WORDS }, (_, i) =>
    Number(BigInt.asUintN(32, hashKey >> BigInt(96 - 32 * i))),
  );
}

function compare(digests: Digests, index: number, hashKey: Uint32Array): number {
  for (let i = 0; i < WORDS; i += 1) {
    const difference = digests.wordOf(index, i) - hashKey[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
