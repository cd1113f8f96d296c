import type { LeasingConsumerOptions, TransactionOptions } from "@kc/core";
import type { Balances } from "./balances.ts";

/** All that a consumer needs but its store. */
export type Reading = Omit<LeasingConsumerOptions, "store">;
export type Batches = Pick<TransactionOptions, "signal" | "maxRecords">;

/** A table of balances, in the database that has the checkpoints too. */
export interface BalancesTable {
  /** Adds what the stream brings, until the signal aborts. */
  project(reading: Reading, batches: Batches): Promise<void>;
  read(): Promise<Balances>;
  close(): Promise<void>;
}
