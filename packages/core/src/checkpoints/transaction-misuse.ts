import { StoreError } from "../errors.ts";

/** The handler did what a transaction cannot take. Running it again does not help. */
export function misused(shardId: string, what: string): StoreError {
  return new StoreError("TRANSACTION_MISUSED", `${shardId}: ${what}`, { shardId });
}
