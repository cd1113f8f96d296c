import { hash } from "node:crypto";

/** The number of hash keys: they are the integers from 0 to 2^128 - 1. */
export const HASH_KEYS: bigint = 1n << 128n;

/** The hash key range of a shard, both ends included. */
export interface HashKeyRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** The hash key of a partition key: its MD5 as a 128-bit integer. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${hash("md5", partitionKey, "hex")}`);
}

/** Divides all hash keys into `count` ranges of equal size; the last one includes the remainder. */
export function uniformRanges(count: number): HashKeyRange[] {
  const size = HASH_KEYS / BigInt(count);
  return Array.from({ length: count }, (_, index) => ({
    start: size * BigInt(index),
    end: index === count - 1 ? HASH_KEYS - 1n : size * BigInt(index + 1) - 1n,
  }));
}
