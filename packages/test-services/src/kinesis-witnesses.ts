import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { KinesisClient, ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { ferrokinesisProgram } from "./ferrokinesis-program.ts";
import { freePort } from "./free-port.ts";

/** A Kinesis emulator of another project: a second opinion on our emulator and our wire. */
export interface Witness extends AsyncDisposable {
  readonly url: string;
}

const READY_WITHIN_MS = 120_000;
const require = createRequire(import.meta.url);

/**
 * Runs in a separate process, because its dependencies do not load with the tests' import
 * conditions.
 */
export async function startKinesalite(): Promise<Witness> {
  const options = { createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 500 };
  const script = `
    const server = require(${JSON.stringify(require.resolve("kinesalite"))})(${JSON.stringify(options)});
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {},
  });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  return witness(`http://127.0.0.1:${port.toString().trim()}`, child);
}

export async function startKinesisLocal(): Promise<Witness> {
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
    // It reads its certificate from the working directory.
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
  return whenItAnswers("kinesis-local", `http://127.0.0.1:${port}`, child);
}

/** @throws NoFerrokinesisError */
export async function startFerrokinesis(): Promise<Witness> {
  const program = ferrokinesisProgram();
  const port = await freePort();
  const durations = ["create", "delete", "update"].map((name) => `--${name}-stream-ms=0`);
  const child = spawn(program, [`--port=${port}`, "--shard-limit=500", ...durations], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {},
  });
  return whenItAnswers("ferrokinesis", `http://127.0.0.1:${port}`, child);
}

async function whenItAnswers(
  name: string,
  url: string,
  child: ChildProcessByStdio<null, null, Readable>,
): Promise<Witness> {
  // It also prints its errors, which matter only if it does not start.
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = chunk.toString()));
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await kill(child);
      throw new Error(`${name} did not start: ${said || `exit ${child.exitCode}`}`);
    }
    await sleep(10);
  }
  return witness(url, child);
}

function witness(url: string, child: ChildProcess): Witness {
  return { url, [Symbol.asyncDispose]: () => kill(child) };
}

async function answers(url: string): Promise<boolean> {
  const client = new KinesisClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
  });
  const listed = client.send(new ListStreamsCommand({}));
  return listed
    .then(
      () => true,
      () => false,
    )
    .finally(() => client.destroy());
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
