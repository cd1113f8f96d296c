/** One measurement in a separate process, so that its memory and CPU include nothing else. */
import { setTimeout as sleep } from "node:timers/promises";
import { Consumer } from "@kc/core";
import { Endpoint, STREAM } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import { pollAtPace } from "./contestants.ts";

export interface Measurement {
  readonly url: string;
  readonly pages: CannedPages;
  /**
   * The consumer with either HTTP handler, or a loop over the SDK's GetRecords that polls each
   * shard once a second.
   */
  readonly reader: "consumer" | "consumerOverTheSdksHttp" | "sdkLoop";
  readonly handler: "stuck" | "retains" | "nothing";
  readonly seconds: number;
  /** Time before counting begins, to reach a steady state. */
  readonly warmUpSeconds: number;
  /** Ends earlier once this many bytes were retained. */
  readonly retainBytes?: number;
}

export interface Measured {
  readonly rssBeforeMB: number;
  readonly rssMostMB: number;
  readonly rssAfterMB: number;
  readonly cpuMs: number;
  readonly seconds: number;
  /** The size of the pages that the handler keeps. */
  readonly retainedMB: number;
  readonly heapMB: number;
}

const MB = 1e6;
const measurement = JSON.parse(process.argv[2]!) as Measurement;
const { reader } = measurement;
const endpoint = new Endpoint(measurement.url, measurement.pages);
const client = reader === "consumer" ? endpoint.client() : endpoint.sdkClient();
const kept: Uint8Array[] = [];
/** Data are views: keeping one keeps its page. */
const keptPages = new Set<ArrayBufferLike>();
const stop = new AbortController();
let handled = 0;
global.gc?.();
const rssBefore = process.memoryUsage.rss();
let rssMost = rssBefore;
const watch = setInterval(() => (rssMost = Math.max(rssMost, process.memoryUsage.rss())), 20);
const scan =
  reader === "sdkLoop" ? pollAtPace(client, endpoint.pages, 1000, stop.signal) : consume();
scan.catch(() => {});
await sleep(measurement.warmUpSeconds * 1000);
process.send?.("warm");
const cpu = process.cpuUsage();
const began = performance.now();
for (let waited = 0; waited < measurement.seconds * 1000; waited += 100) {
  await sleep(100);
  if (handled >= (measurement.retainBytes ?? Infinity)) break;
}
const { user, system } = process.cpuUsage(cpu);
const seconds = (performance.now() - began) / 1000;
global.gc?.();
process.send?.({
  rssBeforeMB: rssBefore / MB,
  rssMostMB: rssMost / MB,
  rssAfterMB: process.memoryUsage.rss() / MB,
  cpuMs: (user + system) / 1000,
  seconds,
  retainedMB: [...keptPages].reduce((sum, page) => sum + page.byteLength, 0) / MB,
  heapMB: process.memoryUsage().heapUsed / MB,
} satisfies Measured);
clearInterval(watch);
stop.abort();
await scan.catch(() => {});
process.exit(0);

function consume(): Promise<void> {
  const consumer = new Consumer({
    stream: STREAM,
    client,
    start: "TRIM_HORIZON",
    immediateRescan: true,
    drainTimeoutMs: 0,
  });
  return consumer.scan(
    ({ data }) => {
      handled += data.byteLength;
      if (measurement.handler === "stuck") return new Promise<void>(() => {});
      if (measurement.handler === "retains" && handled <= (measurement.retainBytes ?? Infinity)) {
        kept.push(data);
        keptPages.add(data.buffer);
      }
      return undefined;
    },
    { signal: stop.signal },
  );
}
