import type { StoreAddress } from "./stores.ts";

/** How long a worker may be silent, in milliseconds. */
export const LEASE_MS = 3000;

/** What a worker's process is given. */
export interface WorkerTask {
  readonly workerId: string;
  readonly endpoint: string;
  readonly store: StoreAddress;
  readonly journal: string;
}
