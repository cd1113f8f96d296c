import type { HashKeyRange } from "../hash-key-range.ts";
import { md5 } from "./md5.ts";

const HASH_KEY = /^\d{1,39}$/;
const LAST_HASH_KEY = 2n ** 128n - 1n;

/** Tells which keys belong to a shard: by their MD5, or by the hash key that the producer gave. */
export class ShardKeys {
  /** Does every key belong to it? */
  readonly hasAll: boolean;
  readonly #start: bigint;
  readonly #end: bigint;
  readonly #startWords: Uint32Array;
  readonly #endWords: Uint32Array;
  readonly #hash = new Uint32Array(4);

  constructor({ startingHashKey, endingHashKey }: HashKeyRange) {
    this.#start = BigInt(startingHashKey);
    this.#end = BigInt(endingHashKey);
    this.#startWords = wordsOf(this.#start);
    this.#endWords = wordsOf(this.#end);
    this.hasAll = this.#start === 0n && this.#end === LAST_HASH_KEY;
  }

  /** @param bytes has the partition key in UTF-8 from `start` to `end` */
  hasPartitionKey(bytes: Uint8Array, start: number, end: number): boolean {
    const hash = this.#hash;
    md5(bytes, start, end, hash);
    return compare(hash, this.#startWords) >= 0 && compare(hash, this.#endWords) <= 0;
  }

  /** What is no hash key says nothing, so its record stays here. */
  hasHashKey(hashKey: string): boolean {
    if (!HASH_KEY.test(hashKey)) return true;
    const value = BigInt(hashKey);
    return value >= this.#start && value <= this.#end;
  }
}

function wordsOf(hashKey: bigint): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, i) =>
    Number(BigInt.asUintN(32, hashKey >> BigInt(96 - 32 * i))),
  );
}

function compare(a: Uint32Array, b: Uint32Array): number {
  for (let i = 0; i < 4; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
