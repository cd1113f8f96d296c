import { StoreError } from "@kc/core";
import type { PostgresRow } from "./driver.ts";

/** The columns that the first statement of each text selects, for `checkServer`. */
export const SERVER = `pg_is_in_recovery()::text AS standby,
  current_setting('client_encoding') AS encoding, (now() = statement_timestamp())::text AS own_transaction`;

/**
 * Refuses three kinds of connections:
 * - to a standby: it may lag, and a missing row could pass for "no checkpoint";
 * - in a transaction that its owner left open, which began before this text: our writes would not be committed;
 * - with another client_encoding: `pg` always sends UTF-8, so names would be altered, and no other client would
 *   find their rows.
 */
export function checkServer(row: PostgresRow | undefined): void {
  const refuse = (why: string): never => {
    throw new StoreError("STORE_UNAVAILABLE", why, { retryable: true });
  };
  if (row?.["standby"] !== "false") {
    refuse("this Postgres server is a standby, which may lag: connect to the primary");
  }
  if (row?.["own_transaction"] !== "true") {
    refuse("a connection of the pool has a transaction that its owner left open");
  }
  const encoding = row?.["encoding"] ?? "";
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return;
  throw new StoreError(
    "STORE_FAILED",
    `a connection of the pool has client_encoding ${encoding}: pg sends UTF8, so do not set another`,
  );
}
