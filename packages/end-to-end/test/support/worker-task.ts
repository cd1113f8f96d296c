import type { StoreAddress } from "./stores.ts";

/** How long a worker may be silent, in milliseconds. */
export const LEASE_MS = 3000;

/** How often a worker flushes, in milliseconds. */
export const FLUSH_MS = 250;

/** Of records that may fail: so many attempts, of which this share fails. */
export const MAX_ATTEMPTS = 2;
export const FAILING = 0.02;

/** What a worker's process is given. */
export interface WorkerTask {
  readonly workerId: string;
  readonly endpoint: string;
  readonly store: StoreAddress;
  readonly journal: string;
  /** So many records of a shard at once, of which some fail. @default one after another, and none fails */
  readonly concurrency?: number;
}
