import type { LeasingConsumerOptions, TransactionOptions } from "@kc/core";
import type { Balances } from "./balances.ts";

/** The consumer's options without the store. */
export type Reading = Omit<LeasingConsumerOptions, "store">;
export type Batches = Pick<TransactionOptions, "signal" | "maxRecords">;

/** A table of balances, in the database that also has the checkpoints. */
export interface BalancesTable {
  /** Adds the stream's orders to the balances, until the signal aborts. */
  project(reading: Reading, batches: Batches): Promise<void>;
  read(): Promise<Balances>;
  close(): Promise<void>;
}
