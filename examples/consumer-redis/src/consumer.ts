// Usage: REDIS_URL=redis://… node dist/consumer.js STREAM [--endpoint URL]
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, stopSignal } from "@kc/core";
import { RedisStore } from "@kc/store-redis";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { endpoint: { type: "string" } },
});

const store = new RedisStore({
  connection: process.env["REDIS_URL"] ?? "redis://localhost:6379",
});

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
