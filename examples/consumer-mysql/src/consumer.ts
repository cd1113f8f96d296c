// Usage: DATABASE_URL=mysql://user:password@host/database node dist/consumer.js STREAM [--endpoint URL]
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, stopSignal } from "@kc/core";
import { MysqlStore } from "@kc/store-mysql";
import { createPool } from "mysql2/promise";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { endpoint: { type: "string" } },
});

const pool = createPool({ uri: process.env["DATABASE_URL"] ?? "mysql://root@localhost/app" });

const store = new MysqlStore({ pool });
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
