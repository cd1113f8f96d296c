import { openDynamodb } from "./dynamodb.ts";
import { openMysql } from "./mysql.ts";
import { openPostgres } from "./postgres.ts";
import { openRedis } from "./redis.ts";
import { openSqlite } from "./sqlite.ts";
import type { BalancesTable } from "./table.ts";

/** Your program needs only one of these. They find their database through environment variables. */
const STORES: Readonly<Record<string, () => Promise<BalancesTable>>> = {
  sqlite: openSqlite,
  postgres: openPostgres,
  mysql: openMysql,
  redis: openRedis,
  dynamodb: openDynamodb,
};

export const STORE_NAMES: readonly string[] = Object.keys(STORES);

export async function openTable(store: string): Promise<BalancesTable> {
  const open = Object.hasOwn(STORES, store) ? STORES[store] : undefined;
  if (!open) throw new RangeError(`--store: one of ${STORE_NAMES.join(", ")} is needed`);
  return open();
}
