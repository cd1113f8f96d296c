/** A record of a producer. A stream record may contain several. */
export interface UserRecord {
  readonly data: Uint8Array;
  /** 1 to 256 characters. */
  readonly partitionKey: string;
  /** Replaces the MD5 of the partition key: a decimal number below 2^128. @default none */
  readonly explicitHashKey?: string;
}

const HASH_KEY = /^(?:0|[1-9][0-9]{0,38})$/;
/** Hash keys are whole numbers below this. */
export const HASH_KEYS: bigint = 2n ** 128n;

/** @throws TypeError that names the record by its index */
export function checkUserRecord(record: UserRecord, index: number): void {
  const { data, partitionKey, explicitHashKey } = record ?? {};
  if (!(data instanceof Uint8Array)) fail(index, "its data must be a Uint8Array");
  if (typeof partitionKey !== "string" || partitionKey.length < 1 || partitionKey.length > 256) {
    fail(index, "its partitionKey must be a text of 1 to 256 characters");
  }
  if (explicitHashKey === undefined) return;
  const isHashKey = typeof explicitHashKey === "string" && HASH_KEY.test(explicitHashKey);
  if (!isHashKey || BigInt(explicitHashKey) >= HASH_KEYS) {
    fail(index, "its explicitHashKey must be a decimal number below 2^128");
  }
}

function fail(index: number, why: string): never {
  throw new TypeError(`record ${index} cannot be put: ${why}`);
}
