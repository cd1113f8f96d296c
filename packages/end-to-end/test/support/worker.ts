/**
 * One of several processes of an application. Its handler writes a line at its begin and one at its
 * end, with the machine's monotonic clock, which all processes share. With a concurrency it fails at
 * random, and what fails twice goes to the store's dead letters.
 */
import { openSync, writeSync } from "node:fs";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, LeaseGroup, type Handler } from "@kc/core";
import { silentLogger } from "./silent-logger.ts";
import { openStore } from "./stores.ts";
import { FAILING, FLUSH_MS, LEASE_MS, MAX_ATTEMPTS, type WorkerTask } from "./worker-task.ts";

const {
  workerId,
  endpoint,
  store: address,
  journal,
  concurrency,
} = JSON.parse(process.argv[2]!) as WorkerTask;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const { store, close } = await openStore(address);
const client = new KinesisClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});
const lines = openSync(journal, "a");
const write = (what: string, record: string): void => {
  writeSync(lines, `${what} ${process.hrtime.bigint()} ${record}\n`);
};
writeSync(lines, "ready\n");
/** A record begins with its name; what follows a space is its weight. */
const NAME = /^[^ ]+/;
const handler: Handler = async (record, { attempt }) => {
  const [name] = NAME.exec(Buffer.from(record.data.subarray(0, 40)).toString())!;
  const text = `${record.shardId} ${record.sequenceNumber} ${name} ${attempt}`;
  write("begin", text);
  // Now and then it takes its time, so that there is a middle to be stopped in.
  const isSlow =
    concurrency === undefined ? record.sequenceNumber.endsWith("07") : Math.random() < 0.2;
  if (isSlow) await new Promise((resolve) => setTimeout(resolve, 5));
  const fails = concurrency !== undefined && Math.random() < FAILING;
  write(fails ? "fail" : "end", text);
  if (fails) throw new Error("by chance");
};
await new Consumer({
  stream: "orders",
  application: "billing",
  store,
  group: new LeaseGroup({ workerId, leaseMs: LEASE_MS }),
  client,
  logger: silentLogger,
  start: "TRIM_HORIZON",
  immediateRescan: true,
  maxRecords: 500,
  flushIntervalMs: FLUSH_MS,
}).scan(handler, {
  signal: stop.signal,
  ...(concurrency === undefined
    ? {}
    : {
        concurrency,
        retry: { maxAttempts: MAX_ATTEMPTS, minDelayMs: 10, maxDelayMs: 100 },
        onFailure: store.deadLetters(),
      }),
});
await close();
client.destroy();
