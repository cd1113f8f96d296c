/**
 * A process that polls idle shards after the command `poll`. It answers each line on standard input
 * with a line on standard output: its CPU so far.
 */
import { createInterface } from "node:readline";
import { Consumer, type KinesisClientLike } from "@kc/core";
import type { Cost } from "../rounds.ts";
import { Endpoint, STREAM } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import { IDLE_INTERVAL_MS, pollAtPace } from "./contestants.ts";

const POLLERS = {
  consumer: (endpoint) => consume(endpoint.client()),
  consumerOverTheSdksHttp: (endpoint) => consume(endpoint.sdkClient()),
  sdkLoop: (endpoint) => pollAtPace(endpoint.sdkClient(), endpoint.pages, IDLE_INTERVAL_MS),
} satisfies Readonly<Record<string, (endpoint: Endpoint) => Promise<void>>>;

export type PollerName = keyof typeof POLLERS;

const [name, url, pages] = process.argv.slice(2) as [PollerName, string, string];
const endpoint = new Endpoint(url, JSON.parse(pages) as CannedPages);
const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit());
for await (const line of lines) {
  // A rejection ends the process.
  if (line === "poll") void POLLERS[name](endpoint);
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ records: 0, cpuMicros: user + system } satisfies Cost));
}

/** With its default options. */
function consume(client: KinesisClientLike): Promise<void> {
  return new Consumer({ stream: STREAM, client }).scan(() => {});
}
