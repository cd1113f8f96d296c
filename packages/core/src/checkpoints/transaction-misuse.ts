import { StoreError } from "../errors.ts";

/** The error for a handler that broke the rules of its transaction. Running it again does not help. */
export function misused(shardId: string, what: string): StoreError {
  return new StoreError("TRANSACTION_MISUSED", `${shardId}: ${what}`, { shardId });
}
