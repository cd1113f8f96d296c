import { Consumer } from "@kc/core";
import { SqliteStore } from "@kc/store-sqlite";
import Database from "libsql";
import { totalsOf, type Balance } from "./balances.ts";
import type { BalancesTable } from "./table.ts";

const TABLE = `CREATE TABLE IF NOT EXISTS balances (
  account TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL
)`;
const ADD = `INSERT INTO balances VALUES (?, ?, ?) ON CONFLICT (account)
  DO UPDATE SET orders = orders + excluded.orders, cents = cents + excluded.cents`;

export async function openSqlite(): Promise<BalancesTable> {
  const database = new Database("projection.sqlite", { timeout: 5000 });
  database.pragma("journal_mode = WAL");
  const store = new SqliteStore({ database });
  await store.setup();
  database.exec(TABLE);
  return {
    project: (reading, batches) =>
      new Consumer({ ...reading, store }).scanTransaction((records, { tx }) => {
        const upsert = tx.prepare(ADD);
        for (const [account, { orders, cents }] of totalsOf(records)) {
          upsert.run(account, orders, cents);
        }
      }, batches),
    read: async () => {
      const rows = database.prepare("SELECT * FROM balances").all() as Row[];
      return new Map(rows.map(({ account, orders, cents }) => [account, { orders, cents }]));
    },
    close: async () => {
      await store.close();
      database.close();
    },
  };
}

interface Row extends Balance {
  readonly account: string;
}
