// Usage: some-program | node dist/producer.js STREAM [--endpoint URL]
// Puts each line of standard input as a record; the line's first word is its partition key.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  KinesisClient,
  PutRecordsCommand,
  type PutRecordsRequestEntry,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { endpoint: { type: "string" } },
});
const stream = positionals[0];
if (stream === undefined) throw new Error("usage: producer STREAM [--endpoint URL]");
const client = new KinesisClient({
  // Keeps connections alive: the SDK's default for Kinesis opens one for each call.
  requestHandler: new NodeHttpHandler(),
  ...(values.endpoint ? { endpoint: values.endpoint } : {}),
});

let batch: PutRecordsRequestEntry[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  batch.push({
    PartitionKey: line.split(" ", 1)[0] || "none",
    Data: new TextEncoder().encode(line),
  });
  if (batch.length === 500) {
    await put(batch);
    batch = [];
  }
}
await put(batch);
client.destroy();

/**
 * PutRecords may accept some records and refuse others; the refused ones are put again a little
 * later.
 */
async function put(records: PutRecordsRequestEntry[]): Promise<void> {
  for (let tries = 0; records.length > 0; tries += 1) {
    if (tries > 0) await sleep(Math.random() * Math.min(5000, 100 * 2 ** tries));
    const { Records = [] } = await client.send(
      new PutRecordsCommand({ StreamName: stream, Records: records }),
    );
    records = records.filter((_, i) => Records[i]?.ErrorCode !== undefined);
  }
}
