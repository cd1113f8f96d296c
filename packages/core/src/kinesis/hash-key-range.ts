/** The hash keys of a shard, both inclusive: decimal strings of up to 39 digits, below 2^128. */
export interface HashKeyRange {
  readonly startingHashKey: string;
  readonly endingHashKey: string;
}

const HASH_KEY = /^\d{1,39}$/;

export function isHashKeyRange(value: unknown): value is HashKeyRange {
  if (typeof value !== "object" || value === null) return false;
  const { startingHashKey: start, endingHashKey: end } = value as Partial<HashKeyRange>;
  return isHashKey(start) && isHashKey(end) && BigInt(start) <= BigInt(end);
}

export function isSameRange(a: HashKeyRange | undefined, b: HashKeyRange | undefined): boolean {
  return a?.startingHashKey === b?.startingHashKey && a?.endingHashKey === b?.endingHashKey;
}

function isHashKey(value: unknown): value is string {
  return typeof value === "string" && HASH_KEY.test(value);
}
