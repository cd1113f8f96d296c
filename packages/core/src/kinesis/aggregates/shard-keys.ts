import type { HashKeyRange } from "../hash-key-range.ts";
import { MOST_MESSAGES, sharedMd5, type Md5 } from "../md5/md5.ts";
import type { KnownKey } from "./known-keys.ts";

const HASH_KEY = /^\d{1,39}$/;
const LAST_HASH_KEY = 2n ** 128n - 1n;
const WORDS = 4;

/** Tells which keys belong to a shard: by their MD5, or by the hash key that the producer gave. */
export class ShardKeys {
  /** Does every key belong to it? */
  readonly hasAll: boolean;
  readonly #start: bigint;
  readonly #end: bigint;
  readonly #startWords: Uint32Array;
  readonly #endWords: Uint32Array;

  constructor({ startingHashKey, endingHashKey }: HashKeyRange) {
    this.#start = BigInt(startingHashKey);
    this.#end = BigInt(endingHashKey);
    this.#startWords = wordsOf(this.#start);
    this.#endWords = wordsOf(this.#end);
    this.hasAll = this.#start === 0n && this.#end === LAST_HASH_KEY;
  }

  /**
   * Finds out which partition keys belong to the shard, where it is not known.
   * @param spans where each of them begins and ends in `bytes`, in UTF-8
   */
  judge(keys: readonly KnownKey[], bytes: Uint8Array, spans: readonly number[]): void {
    const md5 = sharedMd5();
    const asked: KnownKey[] = [];
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i]!;
      if (key.isHere !== undefined) continue;
      if (asked.length === MOST_MESSAGES) this.#answer(md5, asked);
      asked.push(key);
      md5.add(bytes, spans[2 * i]!, spans[2 * i + 1]!);
    }
    if (asked.length > 0) this.#answer(md5, asked);
  }

  /** What is no hash key says nothing, so its record stays here. */
  hasHashKey(hashKey: string): boolean {
    if (!HASH_KEY.test(hashKey)) return true;
    const value = BigInt(hashKey);
    if (value > LAST_HASH_KEY) return true;
    return value >= this.#start && value <= this.#end;
  }

  #answer(md5: Md5, asked: KnownKey[]): void {
    md5.digest();
    for (let i = 0; i < asked.length; i += 1) {
      asked[i]!.isHere =
        compare(md5, i, this.#startWords) >= 0 && compare(md5, i, this.#endWords) <= 0;
    }
    asked.length = 0;
  }
}

function wordsOf(hashKey: bigint): Uint32Array {
  return Uint32Array.from({ length: WORDS }, (_, i) =>
    Number(BigInt.asUintN(32, hashKey >> BigInt(96 - 32 * i))),
  );
}

function compare(md5: Md5, index: number, hashKey: Uint32Array): number {
  for (let i = 0; i < WORDS; i += 1) {
    const difference = md5.wordOf(index, i) - hashKey[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
