import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Contestant } from "../rounds.ts";
import { CACHE, OUTPUT } from "./cache.ts";
import { type Endpoint, STREAM } from "./canned.ts";
import { Span } from "./span.ts";

/** They depend on version 2 of the SDK: a hundred megabytes that nothing else needs. */
const PACKAGES = ["kinesis-readable@1.2.0", "kinesis-streams@0.7.0", "aws-sdk@2.1693.0"];
const DIRECTORY = join(CACHE, "npm");

/** The used parts of version 2 of the SDK, and of the two libraries on it. */
interface OldClient {
  getRecords: (...given: unknown[]) => unknown;
}
interface Emitter {
  on(event: string, listener: (data: never) => void): Emitter;
}

/** Installs the libraries once into a separate directory. Throws if that fails. */
export function installNpmPeers(): void {
  if (!existsSync(join(DIRECTORY, "node_modules", "kinesis-streams"))) {
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(join(DIRECTORY, "package.json"), '{ "private": true }');
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"];
    execFileSync("npm", ["install", ...flags, ...PACKAGES], { cwd: DIRECTORY, stdio: OUTPUT });
  }
}

/** Loads one of the installed packages. */
function load(name: string): unknown {
  return createRequire(join(DIRECTORY, "package.json"))(name);
}

function oldClient({ url, agent }: Endpoint): OldClient {
  const { Kinesis } = load("aws-sdk") as { Kinesis: new (options: object) => OldClient };
  return new Kinesis({
    endpoint: url,
    region: "us-east-1",
    accessKeyId: "bench",
    secretAccessKey: "bench",
    httpOptions: { agent },
  });
}

/** Measures the same span as `connectedConsumer`. */
function spanOf({ total, totalOfOnePage }: Endpoint, begin: () => void): Span {
  return new Span(total, { after: totalOfOnePage, before: totalOfOnePage }, begin);
}

export function kinesisReadable(endpoint: Endpoint): Contestant {
  const { total } = endpoint;
  const open = load("kinesis-readable") as (...given: unknown[]) => Emitter;
  return async (begin) => {
    const client = oldClient(endpoint);
    const measured = spanOf(endpoint, begin);
    await new Promise<void>((resolve, reject) => {
      let records = 0;
      for (let shard = 0; shard < endpoint.pages.shards; shard += 1) {
        const shardId = `shardId-${String(shard).padStart(12, "0")}`;
        // It waits between pages; this is the minimum.
        open(client, STREAM, { shardId, limit: 10_000, readInterval: 1 })
          .on("error", reject)
          .on("data", (page: unknown[]) => {
            for (const _ of page) records = measured.count();
            if (records === total) resolve();
          });
      }
    });
    // There is no other way to end it.
    client.getRecords = () => undefined;
    return measured.cost();
  };
}

export function kinesisStreams(endpoint: Endpoint): Contestant {
  const { total } = endpoint;
  const { KinesisReadable } = load("kinesis-streams") as {
    KinesisReadable: new (client: OldClient, stream: string, options: object) => Emitter;
  };
  return async (begin) => {
    const client = oldClient(endpoint);
    const measured = spanOf(endpoint, begin);
    await new Promise<void>((resolve, reject) => {
      new KinesisReadable(client, STREAM, { interval: 0, ShardIteratorType: "TRIM_HORIZON" })
        .on("error", reject)
        .on("data", () => {
          if (measured.count() === total) resolve();
        });
    });
    client.getRecords = () => ({ promise: () => new Promise(() => {}) });
    return measured.cost();
  };
}
