import type { UserRecord } from "@kc/aggregator";

export const AGGREGATED = 100;
export const BYTES = 100;
/** Aggregates per page: what a shard provides in a second. */
export const AGGREGATES = 180;

/** How many different keys the user records of a page have. Producers repeat theirs. */
export const KEYS = {
  aKeyEach: AGGREGATES * AGGREGATED,
  hundredKeys: 100,
  tenKeys: 10,
  oneKey: 1,
};

/** The keys are used in turn. */
export function userRecords(count: number, keys: number, first = 0): UserRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    partitionKey: `key-${(first + i) % keys}`,
    data: Buffer.alloc(BYTES, i),
  }));
}
