import type { DeadLetterTable, LeaseStore } from "@kc/core";

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

/** Loads the driver of that store alone: a process that starts would spend half of its time on the others. */
export async function openStore(address: StoreAddress): Promise<OpenStore> {
  switch (address.kind) {
    case "sqlite": {
      const { SqliteStore } = await import("@kc/store-sqlite");
      return opened(new SqliteStore({ path: address.path }));
    }
    case "postgres": {
      const { PostgresStore } = await import("@kc/store-postgres");
      const { connectionString: connection, table } = address;
      return opened(new PostgresStore({ connection, table }));
    }
    case "mysql": {
      const { MysqlStore } = await import("@kc/store-mysql");
      return opened(new MysqlStore({ connection: address.uri, database: address.database }));
    }
    case "redis": {
      const { RedisStore } = await import("@kc/store-redis");
      return opened(new RedisStore({ connection: address.url, keyPrefix: address.keyPrefix }));
    }
    case "redis cluster": {
      const { RedisStore } = await import("@kc/store-redis");
      const { Cluster } = await import("ioredis");
      const client = new Cluster(address.nodes.map(({ host, port }) => ({ host, port })));
      const store = new RedisStore({ client, keyPrefix: address.keyPrefix });
      return opened(store, () => client.disconnect());
    }
    case "dynamodb": {
      const { DynamoDBStore } = await import("@kc/store-dynamodb");
      const { DynamoDBClient } = await import("@aws-sdk/client-dynamodb");
      const credentials = { accessKeyId: "any", secretAccessKey: "any" };
      const { endpoint, table } = address;
      const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
      return opened(new DynamoDBStore({ client, table }), () => client.destroy());
    }
  }
}

function opened(store: StoreWithLetters, closeClient: () => void = () => undefined): OpenStore {
  const close = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    closeClient();
  };
  return { store, close };
}
