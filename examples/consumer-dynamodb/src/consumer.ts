// Usage: node dist/consumer.js STREAM [--table NAME] [--endpoint URL] Credentials and Region of
// both Kinesis and DynamoDB come from the environment.
import { parseArgs } from "node:util";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, stopSignal } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    table: { type: "string", default: "kinesis-checkpoints" },
    endpoint: { type: "string" },
  },
});

const dynamodb = new DynamoDBClient();
const store = new DynamoDBStore({ client: dynamodb, table: values.table });
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
dynamodb.destroy();
