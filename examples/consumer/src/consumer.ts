// Usage: node dist/consumer.js STREAM [--endpoint URL]   (credentials and Region come from the
// environment)
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, stopSignal } from "@kc/core";
import { SqliteStore } from "@kc/store-sqlite";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { endpoint: { type: "string" } },
});

const store = new SqliteStore({ path: "checkpoints.sqlite" });
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
