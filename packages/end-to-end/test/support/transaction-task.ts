import type { StoreAddress } from "./stores.ts";

/** How long a worker may be silent, in milliseconds. */
export const TRANSACTION_LEASE_MS = 2000;

/** What a worker's process is given. */
export interface TransactionTask {
  readonly endpoint: string;
  readonly store: StoreAddress;
  readonly stream: string;
  readonly application: string;
  /** Its name in the group. Undefined = it reads all shards, whoever else does. */
  readonly workerId?: string;
  /** Who opens the transactions. The handler can on Postgres. */
  readonly transaction: "store" | "handler";
  /** Of a batch. */
  readonly maxRecords: number;
}
