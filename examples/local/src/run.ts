/**
 * `npm run example -- NAME`: runs an example's own program, unchanged, together with an embedded
 * Kinesis, the database, and a producer that puts two records a second, until Ctrl-C or for
 * `--seconds N`. `group` and `projection` (on the store `--store`, `projection` with `--kills`),
 * `observability` (with `--port` of its page), and the examples that end by themselves start
 * everything themselves.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CreateStreamCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { CONDUCTED, runConducted } from "./conducted.ts";
import { runProgram } from "./program.ts";
import { startService } from "./service.ts";

// Hides the SDK's warning about Node 20.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";

const STREAM = "orders";
const CONSUMERS = {
  consumer: undefined,
  "consumer-postgres": "postgres",
  "consumer-mysql": "mariadb",
  "consumer-redis": "redis",
  "consumer-dynamodb": "dynamodb",
} as const;
/** These start everything that they need, and end by themselves. */
const PROGRAMS = ["batch", "dead-letters", "parallel"];
const NAMES = [...Object.keys(CONSUMERS), "producer", ...CONDUCTED, "observability", ...PROGRAMS];

const { values, positionals } = readArgs();
const name = positionals[0] ?? "";
if (!NAMES.includes(name)) refuse(`there is no example "${name}"`);
if (CONDUCTED.includes(name)) {
  const kills = name === "projection" ? values.kills : undefined;
  process.exit(await runConducted(name, values.store, kills));
}
if (PROGRAMS.includes(name)) process.exit(await runProgram(`${name}/dist/${name}.js`));
if (name === "observability") {
  process.exit(await runProgram("observability/dist/observability.js", ["--port", values.port]));
}
// With `producer`, a consumer also runs, to show the records.
const consumer = (name === "producer" ? "consumer" : name) as keyof typeof CONSUMERS;

const stopping = new AbortController();
// A repeated Ctrl-C has no further effect: everything that was started is stopped.
process.on("SIGINT", () => stopping.abort());
process.on("SIGTERM", () => stopping.abort());

const directory = mkdtempSync(join(tmpdir(), "kc-example-"));
const service = await startService(CONSUMERS[consumer]);
const emulator = await startEmulator();
await emulator.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 2 }));
console.log(`An embedded Kinesis at ${emulator.url}${service.says}. Ctrl-C stops.\n`);
const env = {
  ...process.env,
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "any",
  AWS_SECRET_ACCESS_KEY: "any",
  ...service.env,
};

const running = start(consumer, ["inherit", "inherit", "inherit"]);
const producing = start("producer", ["pipe", "inherit", "inherit"]);
const feeding = feed(producing);
const seconds = values.seconds === undefined ? undefined : Number(values.seconds) * 1000;
await Promise.race([
  once(running, "exit"),
  stopping.signal.aborted ? undefined : once(stopping.signal, "abort"),
  seconds === undefined ? new Promise(() => {}) : sleep(seconds),
]);

stopping.abort();
await feeding;
if (running.exitCode === null) {
  const exit = once(running, "exit");
  running.kill("SIGINT");
  await exit;
}
console.log(`\nThe consumer ended with exit code ${running.exitCode}.`);
await emulator.close();
await service.close();
rmSync(directory, { recursive: true, force: true });
process.exitCode = running.exitCode ?? 1;

function readArgs() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        seconds: { type: "string" },
        store: { type: "string", default: "sqlite" },
        kills: { type: "string" },
        port: { type: "string", default: "9463" },
      },
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(problem: string): never {
  console.error(
    `${problem}\nusage: npm run example -- NAME [--seconds N] [--store NAME] [--kills N] [--port N], one of: ${NAMES.join(", ")}`,
  );
  process.exit(2);
}

function start(example: string, stdio: ("inherit" | "pipe")[]): ChildProcess {
  const program = fileURLToPath(
    new URL(`../../${example}/dist/${example.split("-")[0]}.js`, import.meta.url),
  );
  return spawn(process.execPath, [program, STREAM, "--endpoint", emulator.url], {
    // The example's files, such as a checkpoint database, belong to this run.
    cwd: directory,
    env,
    stdio,
    // This process forwards Ctrl-C: first to the producer, then to the consumer.
    detached: true,
  });
}

/**
 * Puts two orders a second. A producer puts its input when the input ends, so each order gets its
 * own process.
 */
async function feed(first: ChildProcess): Promise<void> {
  let producer = first;
  for (let order = 1; !stopping.signal.aborted; order += 1) {
    producer.stdin?.write(`customer-${order % 7} order ${order}\n`);
    producer.stdin?.end();
    await once(producer, "exit");
    await sleep(500, undefined, { signal: stopping.signal }).catch(() => undefined);
    if (!stopping.signal.aborted) producer = start("producer", ["pipe", "inherit", "inherit"]);
  }
  if (producer.exitCode === null) {
    producer.stdin?.end();
    await once(producer, "exit");
  }
}
