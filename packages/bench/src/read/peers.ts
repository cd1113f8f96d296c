import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compare, type Contestant } from "../rounds.ts";
import { Canned, STREAM } from "./canned.ts";
import { consumer } from "./contestants.ts";

/** They bring the SDK's second version with them: a hundred megabytes that no other part needs. */
const PACKAGES = ["kinesis-readable@1.2.0", "kinesis-streams@0.7.0", "aws-sdk@2.1693.0"];
const DIRECTORY = fileURLToPath(new URL("../../node_modules/.cache/peers", import.meta.url));
const PAGES = { shards: 48, pages: 4, records: 2000, bytes: 1024 };
const ROUNDS = 3;

/** The parts that are used of the SDK's second version, and of the two that read with it. */
interface OldClient {
  getRecords: (...given: unknown[]) => unknown;
}
interface Emitter {
  on(event: string, listener: (data: never) => void): Emitter;
}

/** The consumer against other libraries that poll, on the same server. */
export async function peers(): Promise<object> {
  const load = install();
  if (load === undefined) return { notMeasured: "they could not be installed: see above" };
  await using canned = await Canned.start(PAGES);
  const client = canned.client();
  const total = PAGES.shards * PAGES.pages * PAGES.records;
  try {
    const comparison = await compare(
      {
        consumer: consumer(client, total),
        "kinesis-readable": kinesisReadable(load, canned, total),
        "kinesis-streams": kinesisStreams(load, canned, total),
      },
      ROUNDS,
    );
    return {
      ...comparison,
      "lifion-kinesis": "not measured: it reads nothing without a DynamoDB table for its leases",
    };
  } finally {
    client.destroy();
  }
}

/** Into a directory of their own, once. Undefined = it did not work. */
function install(): NodeJS.Require | undefined {
  if (!existsSync(join(DIRECTORY, "node_modules", "kinesis-streams"))) {
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(join(DIRECTORY, "package.json"), '{ "private": true }');
    try {
      const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"];
      execFileSync("npm", ["install", ...flags, ...PACKAGES], { cwd: DIRECTORY, stdio: "inherit" });
    } catch (error) {
      console.error("the peers could not be installed:", error);
      return undefined;
    }
  }
  return createRequire(join(DIRECTORY, "package.json"));
}

function oldClient(load: NodeJS.Require, { url, agent }: Canned): OldClient {
  const { Kinesis } = load("aws-sdk") as { Kinesis: new (options: object) => OldClient };
  return new Kinesis({
    endpoint: url,
    region: "us-east-1",
    accessKeyId: "bench",
    secretAccessKey: "bench",
    httpOptions: { agent },
  });
}

function kinesisReadable(load: NodeJS.Require, canned: Canned, total: number): Contestant {
  const open = load("kinesis-readable") as (...given: unknown[]) => Emitter;
  return async (begin) => {
    const client = oldClient(load, canned);
    begin();
    await new Promise<void>((resolve, reject) => {
      let records = 0;
      for (let shard = 0; shard < PAGES.shards; shard += 1) {
        const shardId = `shardId-${String(shard).padStart(12, "0")}`;
        // Its waits are between pages: the least it takes.
        open(client, STREAM, { shardId, limit: 10_000, readInterval: 1 })
          .on("error", reject)
          .on("data", (page: unknown[]) => {
            records += page.length;
            if (records === total) resolve();
          });
      }
    });
    // There is no other way to end it.
    client.getRecords = () => undefined;
    return { records: total };
  };
}

function kinesisStreams(load: NodeJS.Require, canned: Canned, total: number): Contestant {
  const { KinesisReadable } = load("kinesis-streams") as {
    KinesisReadable: new (client: OldClient, stream: string, options: object) => Emitter;
  };
  return async (begin) => {
    const client = oldClient(load, canned);
    begin();
    await new Promise<void>((resolve, reject) => {
      let records = 0;
      new KinesisReadable(client, STREAM, { interval: 0, ShardIteratorType: "TRIM_HORIZON" })
        .on("error", reject)
        .on("data", () => {
          records += 1;
          if (records === total) resolve();
        });
    });
    client.getRecords = () => ({ promise: () => new Promise(() => {}) });
    return { records: total };
  };
}
