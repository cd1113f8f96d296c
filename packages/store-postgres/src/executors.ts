import pg from "pg";

/**
 * A transaction that the caller has opened, as `checkpointIn` needs it: runs a text of one statement without
 * parameters, and answers with its rows.
 */
export interface PostgresExecutor {
  query(text: string): Promise<readonly object[]>;
}

/** Of `db.transaction(async (tx) => …)`, with any Postgres driver of Drizzle's. */
export function fromDrizzle(tx: {
  execute(query: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await tx.execute(text)) };
}

/** Of `db.transaction().execute(async (trx) => …)`. Plugins that rename columns play no part. */
export function fromKysely(trx: {
  withoutPlugins(): { executeQuery(query: never): Promise<{ readonly rows: unknown[] }> };
}): PostgresExecutor {
  const plain = trx.withoutPlugins();
  return {
    async query(text) {
      // What Kysely's own `CompiledQuery.raw` makes.
      const query = { kind: "RawNode", sqlFragments: [text], parameters: [] };
      const compiled = { sql: text, parameters: [], query, queryId: { queryId: text } };
      return rowsIn(await plain.executeQuery(compiled as never));
    },
  };
}

/** Of `knex.transaction(async (trx) => …)`. */
export function fromKnex(trx: { raw(text: string): PromiseLike<unknown> }): PostgresExecutor {
  return { query: async (text) => rowsIn(await trx.raw(text)) };
}

/** Of `prisma.$transaction(async (tx) => …)`. */
export function fromPrisma(tx: {
  $queryRawUnsafe(text: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await tx.$queryRawUnsafe(text)) };
}

/** Of a client of `pg` in a transaction of the caller's. */
export function fromClient(client: {
  query(text: string): PromiseLike<unknown>;
}): PostgresExecutor {
  return { query: async (text) => rowsIn(await client.query(text)) };
}

/**
 * A value as SQL that no library takes for more than text. Knex sees a parameter in each question mark,
 * within quotes too, and its own escape of one loses backslashes.
 */
export function quotedFor(value: string): string {
  if (!/[?\\$]/.test(value)) return pg.escapeLiteral(value);
  return `convert_from(decode('${Buffer.from(value).toString("hex")}', 'hex'), 'UTF8')`;
}

/** Drivers answer with the rows, or with what has them. */
function rowsIn(answer: unknown): readonly object[] {
  const rows: unknown = Array.isArray(answer) ? answer : Object(answer).rows;
  if (Array.isArray(rows)) return rows;
  throw new TypeError("the transaction's executor answered without rows");
}
