// Usage: DATABASE_URL=postgresql://… node dist/consumer.js STREAM [--endpoint URL]
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, stopSignal } from "@kc/core";
import { PostgresStore } from "@kc/store-postgres";
import pg from "pg";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { endpoint: { type: "string" } },
});

const pool = new pg.Pool({
  connectionString: process.env["DATABASE_URL"],
  connectionTimeoutMillis: 5000,
});
pool.on("error", (error) => console.warn("an idle connection broke:", error.message));

const store = new PostgresStore({ pool });
await store.setup();

const consumer = new Consumer({
  stream: positionals[0] ?? "",
  application: "example",
  store,
  client: new KinesisClient({
    // Keeps connections alive: the SDK's default for Kinesis opens one for each call.
    requestHandler: new KinesisHttpHandler(),
    ...(values.endpoint ? { endpoint: values.endpoint } : {}),
  }),
  logger: console,
  start: "TRIM_HORIZON",
});

await consumer.scan(
  (record) => {
    console.log(record.shardId, record.sequenceNumber, record.partitionKey, record.text());
  },
  { signal: stopSignal() },
);

await store.close();
await pool.end();
