/**
 * Three processes of worker.ts add up orders, and one after another is killed at a random moment.
 * At the end the orders that were put are compared with the balances: exit code 0 only if they are
 * equal.
 *
 * Usage: node dist/projection.js [--store sqlite] [--kills 6]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CreateStreamCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { differences, sumOf, type Balance } from "./balances.ts";
import { Feed } from "./feed.ts";
import { openTable, STORE_NAMES } from "./stores.ts";
import { WorkerProcess } from "./worker-process.ts";

const STREAM = "orders";
/** The time limit of each wait. */
const MAX_WAIT_MS = 180_000;

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "sqlite" },
    kills: { type: "string", default: "6" },
  },
});
if (!STORE_NAMES.includes(values.store)) {
  console.error(`--store: one of ${STORE_NAMES.join(", ")} is needed`);
  process.exit(2);
}
if (!/^\d+$/.test(values.kills)) {
  console.error("--kills: a whole number is needed");
  process.exit(2);
}
const interrupted = new AbortController();
// A repeated Ctrl-C has no further effect: everything that was started is stopped.
process.on("SIGINT", () => interrupted.abort(new Error("interrupted")));
process.on("SIGTERM", () => interrupted.abort(new Error("interrupted")));

const began = performance.now();
const say = (line: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`);

const directory = mkdtempSync(join(tmpdir(), "kc-projection-"));
process.chdir(directory); // The SQLite file belongs to this run.
const emulator = await startEmulator();
await emulator.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 4 }));
const table = await openTable(values.store);
const feed = new Feed(emulator.kinesis, STREAM);
const workers: WorkerProcess[] = [];
let good = false;
try {
  say(`three workers start, on ${values.store}`);
  for (let n = 0; n < 3; n += 1) start();

  const kills = Number(values.kills);
  for (let kill = 1; kill <= kills; kill += 1) {
    const { orders: before } = await added();
    await until("more orders to be added", ({ orders }) => orders > before);
    await sleep(Math.random() * 1000);
    const [victim] = workers.splice(Math.floor(Math.random() * workers.length), 1);
    await victim!.end("SIGKILL");
    start();
    say(`worker killed, and another one started (${kill} of ${kills}): ${await progress()}`);
  }

  await feed.stop();
  const put = sumOf(feed.balances);
  say(`nothing more is put: ${await progress()}`);
  await until("the last orders", ({ orders }) => orders >= put.orders).catch(() => {
    // Missing orders are reported by the comparison.
    interrupted.signal.throwIfAborted();
  });
  await until("all workers to start", () => workers.every(({ hasStarted }) => hasStarted));
  say("all workers are stopped by SIGTERM");
  for (const worker of workers) await worker.end("SIGTERM");

  const wrong = differences(feed.balances, await table.read());
  good = wrong.length === 0;
  console.log(`
  put:      ${inWords(put)}
  balances: ${inWords(await added())}
  ${good ? "The books balance, account by account." : `THE BOOKS DO NOT BALANCE: ${wrong.length} accounts differ, such as ${wrong[0]}.`}
`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  if (!interrupted.signal.aborted) {
    for (const { log } of workers) console.error(log);
  }
} finally {
  await Promise.allSettled([feed.stop(), ...workers.map((worker) => worker.end("SIGKILL"))]);
  await table.close();
  await emulator.close();
  process.chdir(tmpdir());
  rmSync(directory, { recursive: true });
}
process.exitCode = interrupted.signal.aborted ? 130 : good ? 0 : 1;

function start(): void {
  const args = [STREAM, "--store", values.store, "--endpoint", emulator.url];
  workers.push(new WorkerProcess(directory, args));
}

async function added(): Promise<Balance> {
  return sumOf(await table.read());
}

async function progress(): Promise<string> {
  return `${(await added()).orders} of ${sumOf(feed.balances).orders} orders are added`;
}

function inWords({ orders, cents }: Balance): string {
  return `${orders} orders, ${(cents / 100).toFixed(2)} in all`;
}

async function until(what: string, holds: (sum: Balance) => boolean): Promise<void> {
  const deadline = performance.now() + MAX_WAIT_MS;
  while (!holds(await added())) {
    interrupted.signal.throwIfAborted();
    if (workers.some(({ hasEnded }) => hasEnded)) throw new Error("a worker ended by itself");
    if (performance.now() > deadline) throw new Error(`${what}: waited for too long`);
    await sleep(50);
  }
  interrupted.signal.throwIfAborted();
}
