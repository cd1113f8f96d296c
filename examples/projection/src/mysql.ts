import { Consumer } from "@kc/core";
import { MysqlStore } from "@kc/store-mysql";
import { createPool, type RowDataPacket } from "mysql2/promise";
import { totalsOf, type Balance } from "./balances.ts";
import type { BalancesTable } from "./table.ts";

const TABLE = `CREATE TABLE IF NOT EXISTS balances (
  account varchar(64) PRIMARY KEY, orders int NOT NULL, cents bigint NOT NULL
)`;
const ADD = `INSERT INTO balances VALUES (?, ?, ?) ON DUPLICATE KEY
  UPDATE orders = orders + VALUES(orders), cents = cents + VALUES(cents)`;

export async function openMysql(): Promise<BalancesTable> {
  const pool = createPool({ uri: process.env["DATABASE_URL"] ?? "mysql://root@localhost/app" });
  const store = new MysqlStore({ pool });
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
      const [rows] = await pool.query<Row[]>("SELECT * FROM balances");
      return new Map(rows.map(({ account, orders, cents }) => [account, { orders, cents }]));
    },
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
}

type Row = RowDataPacket & Balance & { readonly account: string };
