import { Consumer } from "@kc/core";
import { PostgresStore } from "@kc/store-postgres";
import pg from "pg";
import { totalsOf } from "./balances.ts";
import type { BalancesTable } from "./table.ts";

const TABLE = `CREATE TABLE IF NOT EXISTS balances (
  account text PRIMARY KEY, orders integer NOT NULL, cents bigint NOT NULL
)`;
const ADD = `INSERT INTO balances AS b VALUES ($1, $2, $3) ON CONFLICT (account)
  DO UPDATE SET orders = b.orders + excluded.orders, cents = b.cents + excluded.cents`;

export async function openPostgres(): Promise<BalancesTable> {
  const pool = new pg.Pool({
    connectionString: process.env["DATABASE_URL"],
    connectionTimeoutMillis: 5000,
  });
  pool.on("error", (error) => console.warn("an idle connection broke:", error.message));
  const store = new PostgresStore({ pool });
  await store.setup();
  await pool.query(TABLE);
  return {
    project: (reading, batches) =>
      new Consumer({ ...reading, store }).scanTransaction(async (records, { tx }) => {
        for (const [account, { orders, cents }] of totalsOf(records)) {
          await tx.query(ADD, [account, orders, cents]);
        }
      }, batches),
    read: async () => {
      const { rows } = await pool.query<{ account: string; orders: number; cents: string }>(
        "SELECT * FROM balances",
      );
      // `pg` returns a bigint as a string.
      return new Map(
        rows.map(({ account, orders, cents }) => [account, { orders, cents: Number(cents) }]),
      );
    },
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
}
