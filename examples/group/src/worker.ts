/**
 * The program to copy. Start any number of processes: they share the stream.
 *
 * Usage: node dist/worker.js STREAM [--id NAME] [--store sqlite] [--journal FILE] [--endpoint URL]
 */
import { openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, LeaseGroup, stopSignal } from "@kc/core";
import { openStore } from "./stores.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: "string" },
    store: { type: "string", default: "sqlite" },
    journal: { type: "string", default: "handled.txt" },
    endpoint: { type: "string" },
  },
});

const { store, close } = await openStore(values.store);
// Short, so that a take-over is visible soon. The default of 10 s tolerates longer pauses.
const group = new LeaseGroup({ leaseMs: 3000, ...(values.id ? { workerId: values.id } : {}) });
const consumer = new Consumer({
  stream: positionals[0] ?? "",
  application: "group-example",
  store,
  group,
  client: new KinesisClient({
    // Keeps connections alive: the SDK's default for Kinesis opens one for each call.
    requestHandler: new KinesisHttpHandler(),
    ...(values.endpoint ? { endpoint: values.endpoint } : {}),
  }),
  logger: console,
  start: "TRIM_HORIZON",
});

// Reports the group's status to the parent process, if there is one.
const telling = setInterval(() => process.send?.(group.status()), 100);

// Represents your work: its effect outlives the process.
const journal = openSync(values.journal, "a");
await consumer.scan(
  ({ shardId, sequenceNumber, partitionKey }) => {
    writeSync(journal, `${group.workerId} ${shardId} ${sequenceNumber} ${partitionKey}\n`);
  },
  { signal: stopSignal() },
);

clearInterval(telling);
process.disconnect?.();
await close();
