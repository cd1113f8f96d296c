import type { StoreScope } from "@kc/core";
import type { Session, SqliteRow } from "./database.ts";
import * as sql from "./statements.ts";

/** The rows of shards, by shard id: checkpoint and lease. */
export function readShards(
  session: Session,
  { application, streamName }: StoreScope,
  shardIds: readonly string[],
): ReadonlyMap<string, SqliteRow> {
  const values = [application, streamName, JSON.stringify(shardIds)];
  const rows = session.query(sql.READ_SHARDS, values);
  return new Map(rows.map((row) => [String(row["shard_id"]), row]));
}
