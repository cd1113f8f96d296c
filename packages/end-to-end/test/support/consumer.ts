/**
 * A consumer in a process of its own. Its handler's effect is a line in a file, written at once. With a
 * concurrency the lines are `started` and `done` with a record's number, and `sent` and `acknowledged` for
 * each write of a checkpoint.
 */
import { tracingChannel } from "node:diagnostics_channel";
import { openSync, writeSync } from "node:fs";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { CHANNELS, Consumer, type Handler } from "@kc/core";
import { silentLogger } from "./silent-logger.ts";
import { openStore, type StoreAddress } from "./stores.ts";

export interface ConsumerTask {
  readonly endpoint: string;
  readonly store: StoreAddress;
  readonly journal: string;
  /** Of a page. */
  readonly maxRecords: number;
  /** @default one record at a time */
  readonly concurrency?: number;
}

const {
  endpoint,
  store: address,
  journal,
  maxRecords,
  concurrency,
} = JSON.parse(process.argv[2]!) as ConsumerTask;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const { store, close } = await openStore(address);
const client = new KinesisClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});
const lines = openSync(journal, "a");
const write = (line: string): void => void writeSync(lines, `${line}\n`);

const oneByOne: Handler = async ({ shardId, sequenceNumber }) => {
  write(`${shardId} ${sequenceNumber}`);
  // Now and then it takes its time, so that there is a middle to be killed in.
  if (sequenceNumber.endsWith("2")) await new Promise((resolve) => setTimeout(resolve, 2));
};
const severalAtOnce: Handler = async ({ sequenceNumber }) => {
  write(`started ${sequenceNumber}`);
  await new Promise((resolve) => setTimeout(resolve, 500 * Math.random() ** 3));
  write(`done ${sequenceNumber}`);
};
if (concurrency !== undefined) {
  tracingChannel(CHANNELS.checkpoint).subscribe({
    start: () => write("sent"),
    end: () => {},
    asyncStart: () => {},
    asyncEnd: (message) => {
      if (!("error" in message)) write("acknowledged");
    },
    error: () => {},
  });
}

await new Consumer({
  stream: "orders",
  application: "billing",
  store,
  client,
  logger: silentLogger,
  start: "TRIM_HORIZON",
  immediateRescan: true,
  maxRecords,
  flushIntervalMs: 50,
}).scan(concurrency === undefined ? oneByOne : severalAtOnce, {
  signal: stop.signal,
  ...(concurrency === undefined ? {} : { concurrency }),
});
await close();
client.destroy();
