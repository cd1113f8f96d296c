import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Services } from "@kc-internal/test-services";
import { createConnection } from "mysql2/promise";
import { inject } from "vitest";
import type { StoreAddress } from "./stores.ts";

/** The address of a server that the set-up has started. */
const server = <Name extends keyof Services>(key: Name): Services[Name] => inject(key);
const name = (): string => `kc_${randomBytes(4).toString("hex")}`;

/** A place of its own in each database, made when it is asked for; files go into the directory. */
export const STORES: readonly (readonly [
  name: string,
  make: (directory: string) => StoreAddress | Promise<StoreAddress>,
])[] = [
  ["SQLite", (directory) => ({ kind: "sqlite", path: join(directory, `${name()}.sqlite`) })],
  ["Postgres", () => ({ kind: "postgres", ...server("postgres"), table: name() })],
  [
    "MariaDB",
    async () => {
      const { uri } = server("mariadb");
      const database = name();
      const connection = await createConnection(uri);
      await connection.query(`CREATE DATABASE ${database}`);
      await connection.end();
      return { kind: "mysql", uri, database };
    },
  ],
  ["Redis", () => ({ kind: "redis", ...server("redis"), keyPrefix: `${name()}:` })],
  [
    "a Redis cluster",
    () => ({ kind: "redis cluster", ...server("redisCluster"), keyPrefix: `${name()}:` }),
  ],
  ["DynamoDB", () => ({ kind: "dynamodb", ...server("dynamodb"), table: name() })],
];
