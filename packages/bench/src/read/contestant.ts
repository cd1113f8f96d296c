/** A contestant's process: each line on standard input is a round, each on standard output its cost. */
import { createInterface } from "node:readline";
import { type Contestant, costOf } from "../rounds.ts";
import { Endpoint } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import { connectedConsumer, consumer, sdkLoop } from "./contestants.ts";
import { kinesisReadable, kinesisStreams } from "./npm-peers.ts";
import { rawSocket } from "./raw-socket.ts";

const CONTESTANTS = {
  consumer: (endpoint) => connectedConsumer(endpoint.client(), endpoint.total),
  consumerOverTheSdksHttp: (endpoint) => connectedConsumer(endpoint.sdkClient(), endpoint.total),
  consumerWireJson: (endpoint) =>
    connectedConsumer(endpoint.client(), endpoint.total, { wire: "json" }),
  // A shard's second page is due later than the first ones of all are handled: nothing is under way then.
  steadyConsumer: (endpoint) =>
    consumer(endpoint.client(), endpoint.total, { after: endpoint.totalOfOnePage }),
  sdkLoop: (endpoint) => sdkLoop(endpoint.sdkClient(), endpoint.pages),
  rawSocket,
  "kinesis-readable": kinesisReadable,
  "kinesis-streams": kinesisStreams,
} satisfies Readonly<Record<string, (endpoint: Endpoint) => Contestant>>;

export type ContestantName = keyof typeof CONTESTANTS;

const [name, url, pages] = process.argv.slice(2) as [ContestantName, string, string];
const contestant = CONTESTANTS[name](new Endpoint(url, JSON.parse(pages) as CannedPages));
const lines = createInterface({ input: process.stdin });
// Also in the middle of a round: the benchmark was ended.
lines.on("close", () => process.exit());
for await (const _ of lines) console.log(JSON.stringify(await costOf(contestant)));
