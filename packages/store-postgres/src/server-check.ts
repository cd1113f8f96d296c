import { StoreError } from "@kc/core";
import type { PostgresRow } from "./driver.ts";

/** What is asked of a server in the first statement of a text, for `checkServer`. */
export const SERVER = `pg_is_in_recovery()::text AS standby,
  current_setting('client_encoding') AS encoding, (now() = statement_timestamp())::text AS own_transaction`;

/**
 * A standby answers reads with what it has got so far: that could pass for "no checkpoint". What is
 * written in a transaction that somebody left open is not kept: it began before this text. And in
 * another encoding names become others, whose rows no other client finds: `pg` sends UTF-8 whatever is set.
 */
export function checkServer(row: PostgresRow | undefined): void {
  const refuse = (why: string): never => {
    throw new StoreError("STORE_UNAVAILABLE", why, { retryable: true });
  };
  if (row?.["standby"] !== "false") {
    refuse("this Postgres server is a standby, which may lag: checkpoints are the primary's");
  }
  if (row?.["own_transaction"] !== "true") {
    refuse("a connection of the pool came with a transaction that its owner left open");
  }
  const encoding = row?.["encoding"] ?? "";
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return;
  throw new StoreError(
    "STORE_FAILED",
    `a connection of the pool has client_encoding ${encoding}: pg speaks UTF8, so do not set another`,
  );
}
