/** A process that stores the effect of each record, and its checkpoint, in one transaction. */
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { LeaseGroup } from "@kc/core";
import { scanWithEffects } from "./effects.ts";
import { silentLogger } from "./silent-logger.ts";
import { TRANSACTION_LEASE_MS, type TransactionTask } from "./transaction-task.ts";

const task = JSON.parse(process.argv[2]!) as TransactionTask;
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.send!("ready");
process.disconnect();

const client = new KinesisClient({
  endpoint: task.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});
const reading = {
  stream: task.stream,
  application: task.application,
  client,
  logger: silentLogger,
  start: "TRIM_HORIZON",
  immediateRescan: true,
} as const;
const { workerId } = task;
await scanWithEffects(
  task,
  workerId === undefined
    ? reading
    : { ...reading, group: new LeaseGroup({ workerId, leaseMs: TRANSACTION_LEASE_MS }) },
  stop.signal,
);
client.destroy();
