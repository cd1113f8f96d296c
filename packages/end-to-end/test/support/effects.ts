import { setTimeout as after } from "node:timers/promises";
import { CreateTableCommand, DynamoDBClient, paginateQuery } from "@aws-sdk/client-dynamodb";
import { Consumer, type ConsumerOptions, type LeasingConsumerOptions } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { fromClient, PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { Redis } from "ioredis";
import Libsql from "libsql";
import { createPool, type RowDataPacket } from "mysql2/promise";
import pg from "pg";
import type { StoreAddress } from "./stores.ts";
import type { TransactionTask } from "./transaction-task.ts";

const TABLE = `CREATE TABLE IF NOT EXISTS effects (
  application VARCHAR(100), record VARCHAR(100), times INTEGER NOT NULL, PRIMARY KEY (application, record)
)`;
const once = (application: string, record: string): string =>
  `INSERT INTO effects VALUES (${application}, ${record}, 1)
   ON CONFLICT (application, record) DO UPDATE SET times = effects.times + 1`;
const ofApplication = (application: string): string =>
  `SELECT record, times FROM effects WHERE application = ${application}`;

/** How often each record has had its effect, by the record's text. */
export type Effects = ReadonlyMap<string, number>;

interface Row {
  readonly record: string;
  readonly times: number;
}

const effectsOf = (rows: readonly Row[]): Effects =>
  new Map(rows.map(({ record, times }) => [record, times]));

/** The effects in a database, for the process that counts them. */
export interface EffectsTable {
  of(application: string): Promise<Effects>;
  close(): Promise<void>;
}

export async function openEffects(address: StoreAddress): Promise<EffectsTable> {
  if (address.kind === "sqlite") {
    const database = new Libsql(address.path, { timeout: 60_000 });
    database.exec(TABLE);
    const select = database.prepare(ofApplication("?"));
    return {
      of: async (application) => effectsOf(select.all(application) as Row[]),
      close: async () => void database.close(),
    };
  }
  if (address.kind === "postgres") {
    const pool = new pg.Pool({ connectionString: address.connectionString });
    // Two at once may both find no table: one of them would fail.
    await pool.query(`SELECT pg_advisory_xact_lock(hashtext('effects')); ${TABLE}`);
    return {
      of: async (application) =>
        effectsOf((await pool.query<Row>(ofApplication("$1"), [application])).rows),
      close: () => pool.end(),
    };
  }
  if (address.kind === "mysql") {
    const pool = createPool(`${address.uri}/${address.database}`);
    await pool.query(TABLE);
    return {
      of: async (application) => {
        const [rows] = await pool.query<(Row & RowDataPacket)[]>(ofApplication("?"), [application]);
        return effectsOf(rows);
      },
      close: () => pool.end(),
    };
  }
  if (address.kind === "redis") {
    const client = new Redis(address.url);
    return {
      of: async (application) => {
        const counts = Object.entries(await client.hgetall(effectsKey(application)));
        return effectsOf(counts.map(([record, times]) => ({ record, times: Number(times) })));
      },
      close: async () => client.disconnect(),
    };
  }
  if (address.kind === "dynamodb") {
    const client = dynamodb(address.endpoint);
    const TableName = effectsTable(address.table);
    await client.send(
      new CreateTableCommand({
        TableName,
        KeySchema: [
          { AttributeName: "application", KeyType: "HASH" },
          { AttributeName: "record", KeyType: "RANGE" },
        ],
        AttributeDefinitions: [
          { AttributeName: "application", AttributeType: "S" },
          { AttributeName: "record", AttributeType: "S" },
        ],
        BillingMode: "PAY_PER_REQUEST",
      }),
    );
    return {
      of: async (application) => {
        const query = {
          TableName,
          ConsistentRead: true,
          KeyConditionExpression: "application = :application",
          ExpressionAttributeValues: { ":application": { S: application } },
        };
        const rows: Row[] = [];
        for await (const { Items = [] } of paginateQuery({ client }, query)) {
          for (const { record, times } of Items) {
            rows.push({ record: record!.S!, times: Number(times!.N) });
          }
        }
        return effectsOf(rows);
      },
      close: async () => client.destroy(),
    };
  }
  throw new Error(`${address.kind}: no effects are known of it`);
}

const effectsKey = (application: string): string => `effects:${application}`;
const effectsTable = (checkpoints: string): string => `${checkpoints}-effects`;

function dynamodb(endpoint: string): DynamoDBClient {
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  return new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
}

/** For so long a handler stands still in its middle, so that there is a middle to be killed in. */
const middleMs = (): number => 10 * Math.random() ** 2;

/** Transactions of a handler's own, as an ORM opens them. */
class OwnTransactions {
  readonly #pool: pg.Pool;

  constructor(connectionString: string, idle_in_transaction_session_timeout: number) {
    this.#pool = new pg.Pool({ connectionString, idle_in_transaction_session_timeout });
    this.#pool.on("error", () => undefined);
    this.#pool.on("connect", (client) => client.on("error", () => undefined));
  }

  async run(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
    const client = await this.#pool.connect();
    let isWhole = false;
    try {
      await client.query("BEGIN");
      await work(client);
      await client.query("COMMIT");
      isWhole = true;
    } finally {
      // The server rolls back what is not committed.
      client.release(!isWhole);
    }
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

/** The worker's side: each record has its effect in its batch's transaction, until the signal aborts. */
export async function scanWithEffects(
  { store: address, application, maxRecords, transaction }: TransactionTask,
  reading: Omit<ConsumerOptions, "store"> | Omit<LeasingConsumerOptions, "store">,
  signal: AbortSignal,
): Promise<void> {
  const options = { signal, maxRecords };
  if (address.kind === "sqlite") {
    const store = new SqliteStore({ path: address.path });
    await new Consumer({ ...reading, store }).scanTransaction((records, { tx }) => {
      const insert = tx.prepare(once("?", "?"));
      for (const record of records) insert.run(application, record.text());
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, middleMs());
    }, options);
    await store.close();
  } else if (address.kind === "postgres") {
    const { connectionString: connection, table } = address;
    // A frozen process holds its locks for so long.
    const idleMs = 1000;
    const store = new PostgresStore({ connection, table, transactionIdleMs: idleMs });
    if (transaction === "handler") {
      const own = new OwnTransactions(connection, idleMs);
      await new Consumer({ ...reading, store }).scanTransaction(
        (records, { checkpoint }) =>
          own.run(async (client) => {
            for (const record of records) {
              await client.query(once("$1", "$2"), [application, record.text()]);
            }
            await after(middleMs());
            await checkpoint(fromClient(client));
            await after(middleMs());
          }),
        { ...options, transaction },
      );
      await own.end();
      await store.close();
      return;
    }
    await new Consumer({ ...reading, store }).scanTransaction(async (records, { tx }) => {
      for (const record of records) await tx.query(once("$1", "$2"), [application, record.text()]);
      await after(middleMs());
    }, options);
    await store.close();
  } else if (address.kind === "mysql") {
    const connection = `${address.uri}/${address.database}`;
    const store = new MysqlStore({ connection, transactionIdleMs: 1000 });
    const insert =
      "INSERT INTO effects VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE times = effects.times + 1";
    await new Consumer({ ...reading, store }).scanTransaction(async (records, { tx }) => {
      for (const record of records) await tx.query(insert, [application, record.text()]);
      await after(middleMs());
    }, options);
    await store.close();
  } else if (address.kind === "redis") {
    const store = new RedisStore({ connection: address.url, keyPrefix: address.keyPrefix });
    await new Consumer({ ...reading, store }).scanTransaction(async (records, { tx }) => {
      const key = effectsKey(application);
      for (const record of records) tx.command("HINCRBY", key, record.text(), 1);
      await after(middleMs());
    }, options);
    await store.close();
  } else if (address.kind === "dynamodb") {
    const client = dynamodb(address.endpoint);
    const TableName = effectsTable(address.table);
    const store = new DynamoDBStore({ client, table: address.table });
    await new Consumer({ ...reading, store }).scanTransaction(async (records, { tx }) => {
      for (const record of records) {
        const Key = { application: { S: application }, record: { S: record.text() } };
        const ExpressionAttributeValues = { ":one": { N: "1" } };
        tx.write({
          Update: {
            TableName,
            Key,
            UpdateExpression: "ADD times :one",
            ExpressionAttributeValues,
          },
        });
      }
      await after(middleMs());
    }, options);
    await store.close();
    client.destroy();
  }
}
