import { ask, type MysqlConnection, type MysqlRow } from "./driver.ts";

/**
 * A transaction that the caller has opened, for `checkpointIn`. It runs one statement without parameters, and
 * returns its rows, if any.
 */
export interface MysqlExecutor {
  query(text: string): Promise<readonly object[]>;
}

/** For `db.transaction(async (tx) => …)`, with Drizzle's `mysql2` driver. */
export function fromDrizzle(tx: { execute(query: string): PromiseLike<unknown> }): MysqlExecutor {
  return { query: async (text) => rowsIn(await tx.execute(text)) };
}

/** For `db.transaction().execute(async (trx) => …)`. Plugins that rename columns are bypassed. */
export function fromKysely(trx: {
  withoutPlugins(): { executeQuery(query: never): Promise<{ readonly rows: unknown[] }> };
}): MysqlExecutor {
  const plain = trx.withoutPlugins();
  return {
    async query(text) {
      // The same object as Kysely's own `CompiledQuery.raw` returns.
      const query = { kind: "RawNode", sqlFragments: [text], parameters: [] };
      const compiled = { sql: text, parameters: [], query, queryId: { queryId: text } };
      return objectsIn((await plain.executeQuery(compiled as never)).rows);
    },
  };
}

/** For `knex.transaction(async (trx) => …)`, with its `mysql2` client. */
export function fromKnex(trx: { raw(text: string): PromiseLike<unknown> }): MysqlExecutor {
  return { query: async (text) => rowsIn(await trx.raw(text)) };
}

/** For `prisma.$transaction(async (tx) => …)`. */
export function fromPrisma(tx: {
  $queryRawUnsafe(text: string): PromiseLike<unknown>;
}): MysqlExecutor {
  return { query: async (text) => objectsIn(await tx.$queryRawUnsafe(text)) };
}

/** For a connection of `mysql2/promise` in a transaction that the caller has opened. */
export function fromConnection(connection: Pick<MysqlConnection, "query">): MysqlExecutor {
  return { query: async (text) => objectsIn(await ask(connection, text)) };
}

/** Rows with every value as text, whatever type the library returns. The statement casts numbers. */
export async function rowsByExecutor(
  executor: MysqlExecutor,
  text: string,
): Promise<readonly MysqlRow[]> {
  const rows = await executor.query(text);
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]),
    ),
  );
}

/** mysql2 answers with a pair: the rows, or the server's report of a change; and the columns. */
function rowsIn(answer: unknown): readonly object[] {
  if (Array.isArray(answer)) return objectsIn(answer[0]);
  throw new TypeError("the transaction's executor answered with what is no answer of mysql2");
}

function objectsIn(rows: unknown): readonly object[] {
  return Array.isArray(rows) ? rows : [];
}
