import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, createServer } from "node:net";
import { dirname } from "node:path";
import {
  KinesisClient,
  type KinesisClientConfig,
  ListStreamsCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startEmulator } from "../../src/index.ts";
import { until } from "./until.ts";

/** A server that speaks Kinesis, with a client for it. */
export interface Target {
  readonly client: KinesisClient;
  readonly url: string;
  close(): Promise<void>;
}

/** The servers that the scenarios run against, by name, and how they are started. */
export const targets = {
  "emulator, SDK's default handler": () => emulator({}),
  "emulator, NodeHttpHandler": () => emulator({ requestHandler: new NodeHttpHandler() }),
  kinesalite,
  "kinesis-local": kinesisLocal,
} as const satisfies Record<string, () => Promise<Target>>;

export type TargetName = keyof typeof targets;

const require = createRequire(import.meta.url);

/** The scenarios read and write faster than the service allows: quotas have tests of their own. */
async function emulator(config: KinesisClientConfig): Promise<Target> {
  const server = await startEmulator({ quotas: false });
  return target(server.url, config, () => server.close());
}

/** In a process of its own: under the tests' import conditions its dependencies do not load. */
async function kinesalite(): Promise<Target> {
  const options = { createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 500 };
  const script = `
    const server = require(${JSON.stringify(require.resolve("kinesalite"))})(${JSON.stringify(options)});
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {},
  });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  const url = `http://127.0.0.1:${port.toString().trim()}`;
  // One of its bugs is that it never replies.
  const requestHandler = new NodeHttpHandler({ requestTimeout: 1000, throwOnRequestTimeout: true });
  return target(url, { requestHandler }, () => kill(child));
}

async function kinesisLocal(): Promise<Target> {
  const main = require.resolve("kinesis-local");
  const port = await freePort();
  const durations = [
    "CREATE_STREAM",
    "DELETE_STREAM",
    "SPLIT_SHARD",
    "MERGE_SHARDS",
    "UPDATE_SHARD_COUNT",
  ];
  const child = spawn(process.execPath, [main], {
    // It looks for its certificate in the working directory.
    cwd: dirname(main),
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      KINESIS_MOCK_PLAIN_PORT: String(port),
      KINESIS_MOCK_TLS_PORT: String(await freePort()),
      LOG_LEVEL: "ERROR",
      SHARD_LIMIT: "500",
      ...Object.fromEntries(durations.map((name) => [`${name}_DURATION`, "1ms"])),
    },
  });
  // What it gets wrong it also prints: of interest only if it does not start.
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = chunk.toString()));
  const started = target(
    `http://127.0.0.1:${port}`,
    { requestHandler: new NodeHttpHandler() },
    () => kill(child),
  );
  await until("kinesis-local answers", async () => {
    if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}: ${said}`);
    return started.client.send(new ListStreamsCommand({})).then(
      () => ({ done: true, value: undefined }),
      (error: unknown) => ({ done: false, state: error }),
    );
  });
  return started;
}

function target(url: string, config: KinesisClientConfig, stop: () => Promise<void>): Target {
  const client = new KinesisClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    // What a server says first is what counts.
    maxAttempts: 1,
    ...config,
  });
  return {
    client,
    url,
    close: async () => {
      client.destroy();
      await stop();
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
