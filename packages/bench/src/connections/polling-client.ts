/** A consumer of idle shards in a separate process. It reports its CPU on request. */
import { Consumer } from "@kc/core";
import { STREAM } from "../read/canned.ts";
import { CLIENTS, type ClientName } from "./clients.ts";

const consumer = new Consumer({
  stream: STREAM,
  ...CLIENTS[process.argv[2] as ClientName].options(),
  scanIntervalMs: 0,
  idleIntervalMs: 0,
});
process.on("message", () => process.send?.(process.cpuUsage()));
process.on("disconnect", () => process.exit());
await consumer.scan(() => {});
