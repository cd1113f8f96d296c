import pg from "pg";

/**
 * A transaction that the caller has opened, for `checkpointIn`. It runs one statement without parameters, and
 * returns its rows.
 */
export interface PostgresExecutor {
  query(text: string): Promise<readonly object[]>;
}

/** For `db.transaction(async (tx) => …)`, with any of Drizzle's Postgres drivers. */
export function fromDrizzle(tx: {
  execute(query: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await tx.execute(text)) };
}

/** For `db.transaction().execute(async (trx) => …)`. Plugins that rename columns are bypassed. */
export function fromKysely(trx: {
  withoutPlugins(): { executeQuery(query: never): Promise<{ readonly rows: unknown[] }> };
}): PostgresExecutor {
  const plain = trx.withoutPlugins();
  return {
    async query(text) {
      // The same object as Kysely's own `CompiledQuery.raw` returns.
      const query = { kind: "RawNode", sqlFragments: [text], parameters: [] };
      const compiled = { sql: text, parameters: [], query, queryId: { queryId: text } };
      return rowsIn(await plain.executeQuery(compiled as never));
    },
  };
}

/** For `knex.transaction(async (trx) => …)`. */
export function fromKnex(trx: { raw(text: string): PromiseLike<unknown> }): PostgresExecutor {
  return { query: async (text) => rowsIn(await trx.raw(text)) };
}

/** For `prisma.$transaction(async (tx) => …)`. */
export function fromPrisma(tx: {
  $queryRawUnsafe(text: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await tx.$queryRawUnsafe(text)) };
}

/** For a client of `pg` in a transaction that the caller has opened. */
export function fromClient(client: {
  query(text: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await client.query(text)) };
}

/**
 * A value as an SQL literal that no library misreads. Knex takes each question mark for a parameter, even within
 * quotes, and its own escape for it loses backslashes.
 */
export function quotedFor(value: string): string {
  if (!/[?\\$]/.test(value)) return pg.escapeLiteral(value);
  return `convert_from(decode('${Buffer.from(value).toString("hex")}', 'hex'), 'UTF8')`;
}

/** Drivers return either the rows, or an object that contains them. */
function rowsIn(answer: unknown): readonly object[] {
  const rows: unknown = Array.isArray(answer) ? answer : Object(answer).rows;
  if (Array.isArray(rows)) return rows;
  throw new TypeError("the transaction's executor answered without rows");
}
