/**
 * The program to copy: a consumer with metrics, probes and status over HTTP.
 *
 * Usage: node dist/worker.js STREAM [--id NAME] [--port N] [--checkpoints FILE] [--endpoint URL]
 */
import { parseArgs } from "node:util";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler, LeaseGroup, stopSignal } from "@kc/core";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { SqliteStore } from "@kc/store-sqlite";
import { handle } from "./handle.ts";
import { serve } from "./serve.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: "string" },
    port: { type: "string", default: "9464" },
    checkpoints: { type: "string", default: "checkpoints.sqlite" },
    endpoint: { type: "string" },
  },
});

const store = new SqliteStore({ path: values.checkpoints });
await store.setup();

const consumer = new Consumer({
  stream: positionals[0] ?? "",
  application: "observability",
  store,
  // Short, so that a take-over is visible soon. The default of 10 s tolerates longer pauses.
  group: new LeaseGroup({ leaseMs: 3000, ...(values.id ? { workerId: values.id } : {}) }),
  client: new KinesisClient({
    // Keeps connections alive: the SDK's default for Kinesis opens one for each call.
    requestHandler: new KinesisHttpHandler(),
    ...(values.endpoint ? { endpoint: values.endpoint } : {}),
  }),
  counter: new PrometheusCounter(),
  start: "TRIM_HORIZON",
});

const server = await serve(consumer, Number(values.port));
process.send?.({ url: server.url });

const signal = stopSignal();
void (async () => {
  for await (const event of consumer.events({ signal })) console.log(values.id ?? "", event);
})();

await consumer.scan(handle, { signal });

server.close();
process.disconnect?.();
await store.close();
