import { PostgresStore } from "@kc/store-postgres";
import pg from "pg";
import type { Subject } from "./subject.ts";

const TABLES = ["", "_leases", "_workers", "_applications", "_revisions"].map(
  (suffix) => `kinesis_consumer${suffix}`,
);
/** Rows that this transaction has locked or changed. */
const LOCKED = TABLES.map(
  (table) => `(SELECT count(*) FROM ${table}
    WHERE pg_current_xact_id()::text IN (xmin::text, xmax::text))`,
).join(" + ");
const SHARE_IN_PLACE = `SELECT relname, n_tup_upd::int AS updated, n_tup_hot_upd::int AS hot
  FROM pg_stat_user_tables WHERE n_tup_upd > 0 ORDER BY relname`;

interface Client {
  query(text: string): Promise<unknown>;
}

export async function postgres(url: string): Promise<Subject> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const number = async (sql: string): Promise<number> => {
    const { rows } = await admin.query<{ n: string }>(sql);
    return Number(rows[0]!.n);
  };
  let locked = 0;
  let pool: pg.Pool | undefined;
  return {
    url,
    open: (at) => new PostgresStore({ connection: at! }),
    meter: async () => ({
      walBytes: await number("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS n"),
      multixacts: await number("SELECT mxid_age('1'::xid) AS n"),
    }),
    locks: {
      open() {
        pool = new pg.Pool({ connectionString: url, max: 1 });
        pool.on("connect", (client: Client) => {
          const send = client.query.bind(client);
          client.query = async (text) => {
            const tried = await admin.query(`BEGIN; ${text}; SELECT ${LOCKED} AS n; ROLLBACK`);
            const all = tried as unknown as readonly { readonly rows: readonly { n: string }[] }[];
            locked += Number(all.at(-2)!.rows[0]!.n);
            return send(text);
          };
        });
        return new PostgresStore({ pool });
      },
      take() {
        const taken = locked;
        locked = 0;
        return taken;
      },
    },
    async closing() {
      await pool?.end();
      const { rows } = await admin.query<{ relname: string; updated: number; hot: number }>(
        SHARE_IN_PLACE,
      );
      return {
        updatedInPlace: Object.fromEntries(
          rows.map(({ relname, updated, hot }) => [relname, `${hot} of ${updated}`]),
        ),
      };
    },
    [Symbol.asyncDispose]: () => admin.end(),
  };
}
