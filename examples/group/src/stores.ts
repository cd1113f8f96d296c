import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { LeaseStore } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { createPool } from "mysql2/promise";
import pg from "pg";

export interface OpenStore {
  readonly store: LeaseStore;
  /** Closes the store, and its client if there is one. */
  readonly close: () => Promise<void>;
}

/** Your program needs only one of these. They find their database through environment variables. */
const STORES: Readonly<Record<string, () => Promise<OpenStore>>> = {
  sqlite: async () => {
    const store = new SqliteStore({ path: "group.sqlite" });
    await store.setup();
    return { store, close: () => store.close() };
  },
  postgres: async () => {
    const pool = new pg.Pool({
      connectionString: process.env["DATABASE_URL"],
      connectionTimeoutMillis: 5000,
    });
    pool.on("error", (error) => console.warn("an idle connection broke:", error.message));
    const store = new PostgresStore({ pool });
    await store.setup();
    const close = async (): Promise<void> => {
      await store.close();
      await pool.end();
    };
    return { store, close };
  },
  mysql: async () => {
    const pool = createPool({ uri: process.env["DATABASE_URL"] ?? "mysql://root@localhost/app" });
    const store = new MysqlStore({ pool });
    await store.setup();
    const close = async (): Promise<void> => {
      await store.close();
      await pool.end();
    };
    return { store, close };
  },
  redis: async () => {
    const store = new RedisStore({
      connection: process.env["REDIS_URL"] ?? "redis://localhost:6379",
    });
    return { store, close: () => store.close() };
  },
  dynamodb: async () => {
    const client = new DynamoDBClient();
    const store = new DynamoDBStore({ client, table: "kinesis-checkpoints" });
    await store.setup();
    const close = async (): Promise<void> => {
      await store.close();
      client.destroy();
    };
    return { store, close };
  },
};

export const STORE_NAMES: readonly string[] = Object.keys(STORES);

export async function openStore(name: string): Promise<OpenStore> {
  const open = Object.hasOwn(STORES, name) ? STORES[name] : undefined;
  if (!open) throw new RangeError(`--store: one of ${STORE_NAMES.join(", ")} is needed`);
  return open();
}
