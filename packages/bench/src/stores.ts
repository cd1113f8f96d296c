import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { LeaseStore } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { createConnection } from "mysql2/promise";
import type { Services } from "./services.ts";

/** How to open each store; files go into the directory. */
export async function openers(
  { postgres, mariadb, redis, dynamodb }: Services,
  directory: string,
): Promise<Record<string, () => LeaseStore>> {
  const connection = await createConnection(mariadb);
  await connection.query("CREATE DATABASE bench");
  await connection.end();
  const dynamoClient = new DynamoDBClient({
    endpoint: dynamodb,
    region: "us-east-1",
    credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
  });
  return {
    sqlite: () => new SqliteStore({ path: join(directory, "checkpoints.sqlite") }),
    postgres: () => new PostgresStore({ connection: postgres, listenConnection: postgres }),
    mariadb: () => new MysqlStore({ connection: mariadb, database: "bench" }),
    redis: () => new RedisStore({ connection: redis }),
    dynamodb: () => new DynamoDBStore({ client: dynamoClient, table: "bench" }),
  };
}
