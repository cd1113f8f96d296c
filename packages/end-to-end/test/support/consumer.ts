/** A consumer in a process of its own. Its handler's effect is a line in a file, written at once. */
import { openSync, writeSync } from "node:fs";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { silentLogger } from "./silent-logger.ts";
import { openStore, type StoreAddress } from "./stores.ts";

export interface ConsumerTask {
  readonly endpoint: string;
  readonly store: StoreAddress;
  readonly journal: string;
}

const { endpoint, store: address, journal } = JSON.parse(process.argv[2]!) as ConsumerTask;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const { store, close } = openStore(address);
const client = new KinesisClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});
const lines = openSync(journal, "a");
await new Consumer({
  stream: "orders",
  application: "billing",
  store,
  client,
  logger: silentLogger,
  start: "TRIM_HORIZON",
  immediateRescan: true,
  maxRecords: 50,
  flushIntervalMs: 50,
}).scan(
  async ({ shardId, sequenceNumber }) => {
    writeSync(lines, `${shardId} ${sequenceNumber}\n`);
    // Now and then it takes its time, so that there is a middle to be killed in.
    if (sequenceNumber.endsWith("2")) await new Promise((resolve) => setTimeout(resolve, 2));
  },
  { signal: stop.signal },
);
await close();
client.destroy();
