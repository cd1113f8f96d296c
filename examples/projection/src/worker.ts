/**
 * The program to copy: adds up orders to balances, each order exactly once. Start any number of
 * processes.
 *
 * Usage: node dist/worker.js STREAM [--store sqlite] [--endpoint URL]
 */
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler, LeaseGroup, stopSignal } from "@kc/core";
import { openTable } from "./stores.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { store: { type: "string", default: "sqlite" }, endpoint: { type: "string" } },
});

const table = await openTable(values.store);
await table.project(
  {
    stream: positionals[0] ?? "",
    application: "balances",
    // Short, so that a killed worker's shards are soon taken over. The default of 10 s tolerates
    // longer pauses.
    group: new LeaseGroup({ leaseMs: 2000 }),
    client: new KinesisClient({
      // Keeps connections alive: the SDK's default for Kinesis opens one for each call.
      requestHandler: new KinesisHttpHandler(),
      ...(values.endpoint ? { endpoint: values.endpoint } : {}),
    }),
    logger: console,
    start: "TRIM_HORIZON",
  },
  { signal: stopSignal(), maxRecords: 20 },
);
await table.close();
