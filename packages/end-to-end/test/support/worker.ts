/**
 * One of several processes of an application. Its handler writes a line at its begin and one at its
 * end, with the machine's monotonic clock, which all processes share.
 */
import { openSync, writeSync } from "node:fs";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, LeaseGroup } from "@kc/core";
import { silentLogger } from "./silent-logger.ts";
import { openStore } from "./stores.ts";
import { LEASE_MS, type WorkerTask } from "./worker-task.ts";

const { workerId, endpoint, store: address, journal } = JSON.parse(process.argv[2]!) as WorkerTask;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const { store, close } = openStore(address);
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
  flushIntervalMs: 500,
}).scan(
  async (record) => {
    const [name] = NAME.exec(Buffer.from(record.data.subarray(0, 40)).toString())!;
    const text = `${record.shardId} ${record.sequenceNumber} ${name}`;
    write("begin", text);
    // Now and then it takes its time, so that there is a middle to be stopped in.
    if (record.sequenceNumber.endsWith("07"))
      await new Promise((resolve) => setTimeout(resolve, 5));
    write("end", text);
  },
  { signal: stop.signal },
);
await close();
client.destroy();
