import type { HashKeyRange } from "../hash-key-range.ts";
import { sharedMd5, sharedShortMd5 } from "../md5/md5.ts";
import { MOST_SHORT_BYTES } from "../md5/short-md5.ts";
import type { KeyTable } from "./key-table.ts";
import type { KnownKey, KnownKeys } from "./known-keys.ts";

const HASH_KEY = /^\d{1,39}$/;
const LAST_HASH_KEY = 2n ** 128n - 1n;
const WORDS = 4;
/** If none of so many keys is known, the others of the table are not looked for. */
const LOOKED_FOR = 8;

/** What both kinds of MD5 answer with: see `Md5.wordOf`. */
interface Digests {
  wordOf(index: number, word: number): number;
}

/** Tells which keys belong to a shard: by their MD5, or by the hash key that the producer gave. */
export class ShardKeys {
  /** Does every key belong to it? */
  readonly hasAll: boolean;
  readonly #start: bigint;
  readonly #end: bigint;
  readonly #startWords: Uint32Array;
  readonly #endWords: Uint32Array;
  /** The keys whose MD5 is wanted, and what is to be known of them; undefined = nothing. */
  readonly #asked: number[] = [];
  readonly #askedKeys: (KnownKey | undefined)[] = [];

  constructor({ startingHashKey, endingHashKey }: HashKeyRange) {
    this.#start = BigInt(startingHashKey);
    this.#end = BigInt(endingHashKey);
    this.#startWords = wordsOf(this.#start);
    this.#endWords = wordsOf(this.#end);
    this.hasAll = this.#start === 0n && this.#end === LAST_HASH_KEY;
  }

  /**
   * Finds out which partition keys are other shards'. A producer repeats its keys from one aggregate to the
   * next or it does not: where none of the first ones is known, the others are hashed without a look.
   * @param known what was found out before, about the same shard
   */
  judge(keys: KeyTable, known: KnownKeys): void {
    const { bytes, length } = keys;
    const short = sharedShortMd5();
    let looks = true;
    let repeats = false;
    for (let i = 0; i < length; i += 1) {
      if (i === LOOKED_FOR) looks = repeats;
      const start = keys.start(i);
      const end = keys.end(i);
      let key: KnownKey | undefined;
      if (looks) {
        key = known.of(bytes, start, end);
        keys.setText(i, key.text);
        if (key.isHere !== undefined) {
          repeats = true;
          if (!key.isHere) keys.setElsewhere(i);
          continue;
        }
      }
      if (end - start > MOST_SHORT_BYTES) {
        const md5 = sharedMd5();
        md5.add(bytes, start, end);
        md5.digest();
        this.#answer(md5, 0, keys, i, key);
        continue;
      }
      if (!short.add(start, end)) {
        this.#answerAll(keys);
        short.add(start, end);
      }
      this.#asked.push(i);
      this.#askedKeys.push(key);
    }
    this.#answerAll(keys);
  }

  /** What is no hash key says nothing, so its record stays here. */
  hasHashKey(hashKey: string): boolean {
    if (!HASH_KEY.test(hashKey)) return true;
    const value = BigInt(hashKey);
    if (value > LAST_HASH_KEY) return true;
    return value >= this.#start && value <= this.#end;
  }

  /** Those whose MD5 is wanted. */
  #answerAll(keys: KeyTable): void {
    const asked = this.#asked;
    const short = sharedShortMd5();
    try {
      short.digest(keys.bytes);
      for (let i = 0; i < asked.length; i += 1) {
        this.#answer(short, i, keys, asked[i]!, this.#askedKeys[i]);
      }
    } finally {
      asked.length = 0;
      this.#askedKeys.length = 0;
    }
  }

  #answer(
    digests: Digests,
    index: number,
    keys: KeyTable,
    at: number,
    key: KnownKey | undefined,
  ): void {
    const isHere = this.#has(digests, index);
    if (!isHere) keys.setElsewhere(at);
    if (key !== undefined) key.isHere = isHere;
  }

  #has(digests: Digests, index: number): boolean {
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
