/**
 * Three processes of worker.ts share a stream; one is added, one stopped, the stream is resharded,
 * and one is killed. Shows the owner of each shard as it changes. Exits with code 0 only if the
 * ledger's verdict is good.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CreateStreamCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { Board } from "./board.ts";
import { Feed } from "./feed.ts";
import { judge, readJournal, type Handled } from "./ledger.ts";
import { reshard } from "./reshard.ts";
import { STORE_NAMES } from "./stores.ts";
import { WorkerProcess } from "./worker-process.ts";

const STREAM = "orders";
/** The time limit of each wait. */
const MAX_WAIT_MS = 180_000;

const { values } = parseArgs({ options: { store: { type: "string", default: "sqlite" } } });
if (!STORE_NAMES.includes(values.store)) {
  console.error(`--store: one of ${STORE_NAMES.join(", ")} is needed`);
  process.exit(2);
}
const interrupted = new AbortController();
// A repeated Ctrl-C has no further effect: everything that was started is stopped.
process.on("SIGINT", () => interrupted.abort(new Error("interrupted")));
process.on("SIGTERM", () => interrupted.abort(new Error("interrupted")));

const began = performance.now();
const say = (line: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`);
const board = new Board((line) => say(`  ${line}`));
const workers = new Map<string, WorkerProcess>();

const directory = mkdtempSync(join(tmpdir(), "kc-group-"));
const journal = join(directory, "handled.txt");
const emulator = await startEmulator();
let feed: Feed | undefined;
let good = false;
try {
  await emulator.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 6 }));
  feed = new Feed(emulator.kinesis, STREAM);

  say(`workers a, b and c start, on ${values.store}`);
  for (const id of ["a", "b", "c"]) start(id);
  await settled();

  say("worker d is added");
  start("d");
  await settled();

  say("worker b is stopped by SIGTERM");
  await end("b", "SIGTERM");
  await settled();

  const before = new Set(board.shardsOf("a"));
  say(await reshard(emulator.kinesis, STREAM));
  await until("the new shards", () => {
    const made = board.shardsOf("a").filter((shardId) => !before.has(shardId));
    return made.length === 3 && board.isSettled([...workers.keys()]);
  });
  await linger();

  say("worker c is killed by SIGKILL: it is silent for a lease's 3 s, then taken over");
  await end("c", "SIGKILL");
  const kill = { worker: "c", after: handled().length };
  await settled();

  await feed.stop();
  const put = feed.accepted;
  await until("the last records", () => judge(put, handled(), kill).missing === 0).catch(() => {
    // Missing records are reported by the ledger.
    interrupted.signal.throwIfAborted();
  });
  say("all workers are stopped by SIGTERM");
  for (const id of workers.keys()) await end(id, "SIGTERM");

  const verdict = judge(put, handled(), kill);
  good = verdict.good;
  console.log(`
  ${verdict.put} records put, ${verdict.distinct} distinct records handled
  ${verdict.keys} partition keys, ${verdict.outOfOrder} records out of order
  ${verdict.repeatsAfterGraceful} repeats after graceful changes
  ${verdict.repeatsAfterKill} repeats after the kill: what followed the last checkpoints
  ${good ? "Nothing was lost." : "THE LEDGER DOES NOT ADD UP."}
`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
} finally {
  await feed?.stop().catch(() => undefined);
  await Promise.all([...workers.values()].map((worker) => worker.end("SIGTERM")));
  await emulator.close();
  if (good || interrupted.signal.aborted) rmSync(directory, { recursive: true, force: true });
  else console.log(`The workers' logs and the journal are in ${directory}`);
}
process.exitCode = interrupted.signal.aborted ? 130 : good ? 0 : 1;

function handled(): Handled[] {
  return readJournal(readFileSync(journal, "utf8"));
}

function start(id: string): void {
  const args = [STREAM, "--store", values.store, "--journal", journal, "--endpoint", emulator.url];
  const onStatus = board.update.bind(board);
  workers.set(id, new WorkerProcess({ id, directory, args, onStatus }));
}

async function end(id: string, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const worker = workers.get(id);
  const how = await worker?.end(signal);
  workers.delete(id);
  board.forget(id);
  const expected = signal === "SIGTERM" ? "exit code 0" : signal;
  if (how !== expected) throw new Error(`worker ${id} ended with ${how}, not with ${expected}`);
}

/** Waits until the shards are evenly distributed, and then lets the workers work for a while. */
async function settled(): Promise<void> {
  await until("the shards to be shared", () => board.isSettled([...workers.keys()]));
  await linger();
}

async function linger(): Promise<void> {
  await sleep(1500, undefined, { signal: interrupted.signal }).catch(() => undefined);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + MAX_WAIT_MS;
  while (!holds()) {
    interrupted.signal.throwIfAborted();
    for (const { id, hasEnded } of workers.values()) {
      if (hasEnded) throw new Error(`worker ${id} ended by itself`);
    }
    if (performance.now() > deadline) throw new Error(`${what}: waited for too long`);
    await sleep(50);
  }
  interrupted.signal.throwIfAborted();
}
