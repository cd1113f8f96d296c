/**
 * A contestant's process: each line on standard input starts a round, each on standard output is
 * its cost.
 */
import { createInterface } from "node:readline";
import { awsKinesisAgg } from "../aggregates/aws-kinesis-agg.ts";
import { type Contestant, costOf } from "../rounds.ts";
import { Endpoint } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import { connectedConsumer, sdkLoop } from "./contestants.ts";
import { kinesisReadable, kinesisStreams } from "./npm-peers.ts";
import { rawSocket } from "./raw-socket.ts";

const CONTESTANTS = {
  consumer: (endpoint) => connectedConsumer(endpoint.client(), endpoint),
  consumerOverTheSdksHttp: (endpoint) => connectedConsumer(endpoint.sdkClient(), endpoint),
  consumerWireJson: (endpoint) => connectedConsumer(endpoint.client(), endpoint, { wire: "json" }),
  sdkLoop: (endpoint) => sdkLoop(endpoint.sdkClient(), endpoint.pages),
  sdkLoopAndAwsKinesisAgg: (endpoint) =>
    sdkLoop(endpoint.sdkClient(), endpoint.pages, ({ Data }) =>
      awsKinesisAgg(Buffer.from(Data!).toString("base64")),
    ),
  rawSocket,
  "kinesis-readable": kinesisReadable,
  "kinesis-streams": kinesisStreams,
} satisfies Readonly<Record<string, (endpoint: Endpoint) => Contestant>>;

export type ContestantName = keyof typeof CONTESTANTS;

const [name, url, pages] = process.argv.slice(2) as [ContestantName, string, string];
const contestant = CONTESTANTS[name](new Endpoint(url, JSON.parse(pages) as CannedPages));
const lines = createInterface({ input: process.stdin });
// Also during a round, if the benchmark was ended.
lines.on("close", () => process.exit());
for await (const _ of lines) console.log(JSON.stringify(await costOf(contestant)));
