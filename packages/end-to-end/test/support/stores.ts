import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { DeadLetterTable, LeaseStore } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { Cluster } from "ioredis";

/** Where a consumer's store is; plain data, so that another process can open the same one. */
export type StoreAddress =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly connectionString: string; readonly table: string }
  | { readonly kind: "mysql"; readonly uri: string; readonly database: string }
  | { readonly kind: "redis"; readonly url: string; readonly keyPrefix: string }
  | {
      readonly kind: "redis cluster";
      readonly nodes: readonly { readonly host: string; readonly port: number }[];
      readonly keyPrefix: string;
    }
  | { readonly kind: "dynamodb"; readonly endpoint: string; readonly table: string };

type StoreWithLetters = LeaseStore & { deadLetters(): DeadLetterTable };

export interface OpenStore {
  readonly store: StoreWithLetters;
  readonly close: () => Promise<void>;
}

export function openStore(address: StoreAddress): OpenStore {
  const client = makeClient(address);
  const store = makeStore(address, client);
  return {
    store,
    close: async () => {
      await store[Symbol.asyncDispose]();
      if (client instanceof Cluster) client.disconnect();
      else client?.destroy();
    },
  };
}

function makeClient(address: StoreAddress): Cluster | DynamoDBClient | undefined {
  if (address.kind === "redis cluster") {
    return new Cluster(address.nodes.map(({ host, port }) => ({ host, port })));
  }
  if (address.kind !== "dynamodb") return undefined;
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  return new DynamoDBClient({ endpoint: address.endpoint, region: "us-east-1", credentials });
}

function makeStore(
  address: StoreAddress,
  client: Cluster | DynamoDBClient | undefined,
): StoreWithLetters {
  switch (address.kind) {
    case "sqlite":
      return new SqliteStore({ path: address.path });
    case "postgres":
      return new PostgresStore({ connection: address.connectionString, table: address.table });
    case "mysql":
      return new MysqlStore({ connection: address.uri, database: address.database });
    case "redis":
      return new RedisStore({ connection: address.url, keyPrefix: address.keyPrefix });
    case "redis cluster":
      return new RedisStore({ client: client as Cluster, keyPrefix: address.keyPrefix });
    case "dynamodb":
      return new DynamoDBStore({ client: client as DynamoDBClient, table: address.table });
  }
}
