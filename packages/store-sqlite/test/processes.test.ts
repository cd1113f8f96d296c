import { join } from "node:path";
import { checkpointAt, type Checkpoint, type StoreScope } from "@kc/core";
import Libsql from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";
import { bundleWorker, Worker } from "./support/processes.ts";
import type { Task } from "./support/worker.ts";

const scope: StoreScope = { application: "billing", streamName: "orders" };
const shardId = "shardId-000000000000";

let bundle: Awaited<ReturnType<typeof bundleWorker>>;
let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let workers: Worker[] = [];

beforeAll(async () => {
  bundle = await bundleWorker();
});
afterAll(() => bundle.remove());

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "a.db");
});
afterEach(async () => {
  for (const worker of workers) await worker.kill();
  workers = [];
  directory.remove();
});

async function start(task: Task, count: number): Promise<readonly Worker[]> {
  const started = await Promise.all(
    Array.from({ length: count }, (_, index) => Worker.start(bundle.file, task, path, `${index}`)),
  );
  workers.push(...started);
  return started;
}

const runAll = (started: readonly Worker[]): Promise<unknown[]> =>
  Promise.all(started.map((worker) => worker.run()));

async function reopened<Answer>(work: (store: SqliteStore) => Promise<Answer>): Promise<Answer> {
  const store = new SqliteStore({ path });
  try {
    return await work(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

const stored = (): Promise<Checkpoint | undefined> =>
  reopened((store) => store.getCheckpoint(scope, shardId));

function expectWholeFile(): void {
  const database = new Libsql(path);
  const check = database.prepare("PRAGMA integrity_check").all([]);
  database.close();
  expect(check).toStrictEqual([{ integrity_check: "ok" }]);
}

describe("several processes on one file", () => {
  it("make its tables at once, by setup()", async () => {
    await runAll(await start("setup", 4));
    expect(await stored()).toBeUndefined();
  });

  it("make its tables at once, by their first use; exactly one creates the application", async () => {
    const answers = (await runAll(await start("open", 4))) as {
      outcome: string;
      startedAt: number;
    }[];
    const creators = answers.filter(({ outcome }) => outcome === "created");
    expect(creators).toHaveLength(1);
    for (const { startedAt } of answers) expect(startedAt).toBe(creators[0]?.startedAt);
  });

  it("write one shard: none meets a lock, each position is written once, the furthest stands", async () => {
    const answers = (await runAll(await start("race", 4))) as [number, string][][];
    const written = answers.flat().filter(([, outcome]) => outcome === "written");
    const positions = written.map(([n]) => n);
    expect(new Set(positions).size).toBe(positions.length);
    expect(positions).toContain(100);
    expect(answers.flat()).toHaveLength(400);
    expect(await stored()).toStrictEqual(checkpointAt({ sequenceNumber: "100" }));
    expectWholeFile();
  });
});

describe("kill -9", () => {
  it("in the middle of writes loses nothing that was acknowledged, five times over", async () => {
    for (let round = 0; round < 5; round++) {
      const [worker] = await start("endless", 1);
      let acknowledged = 0;
      worker!.child.on("message", (message: { acknowledged?: number }) => {
        acknowledged = message.acknowledged ?? acknowledged;
      });
      worker!.go();
      while (acknowledged < 50 * (round + 1)) await worker!.message("acknowledged");
      await worker!.kill();
      const checkpoint = await stored();
      const kept = checkpoint?.kind === "position" ? Number(checkpoint.sequenceNumber) : 0;
      expect(kept, `round ${round}`).toBeGreaterThanOrEqual(acknowledged);
      expectWholeFile();
    }
  });

  it("in the middle of a transaction frees the lock and undoes what was not committed", async () => {
    const [worker] = await start("hold-lock", 1);
    worker!.go();
    await worker!.message("acknowledged");
    const next = { shardId, checkpoint: checkpointAt({ sequenceNumber: "2" }) };

    const impatient = new SqliteStore({ path, busyTimeoutMs: 50 });
    const refused = impatient.setCheckpoint(scope, next);
    await expect(refused).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    await worker!.kill();
    const answer = await impatient.setCheckpoint(scope, next);
    expect(answer).toStrictEqual({ outcome: "written", stored: next.checkpoint });
    await impatient[Symbol.asyncDispose]();
    expectWholeFile();
  });
});

describe("SIGSTOP", () => {
  const next = { shardId, checkpoint: checkpointAt({ sequenceNumber: "2" }) };

  /** A process that is stopped in the middle of a transaction, and a store of another one. */
  async function stopInTransaction(): Promise<{ stopped: Worker; other: SqliteStore }> {
    const [stopped] = await start("hold-lock", 1);
    stopped!.go();
    await stopped!.message("acknowledged");
    stopped!.child.kill("SIGSTOP");
    return { stopped: stopped!, other: new SqliteStore({ path, busyTimeoutMs: 50 }) };
  }

  it("in the middle of a transaction keeps the others from writing, not from reading", async () => {
    const { stopped, other } = await stopInTransaction();
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = other.setCheckpoint(scope, next);
      await expect(refused).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    }
    const read = await other.getCheckpoint(scope, shardId);
    expect(read).toStrictEqual(checkpointAt({ sequenceNumber: "1" }));

    await stopped.kill();
    const answer = await other.setCheckpoint(scope, next);
    expect(answer).toStrictEqual({ outcome: "written", stored: next.checkpoint });
    await other[Symbol.asyncDispose]();
    expectWholeFile();
  });

  it("in the middle of a transaction ends it late: what it commits then is kept", async () => {
    const { stopped, other } = await stopInTransaction();
    const patient = new SqliteStore({ path, busyTimeoutMs: 30_000 });
    await expect(other.setCheckpoint(scope, next)).rejects.toMatchObject({ retryable: true });
    const waiting = patient.setCheckpoint(scope, next);
    stopped.child.kill("SIGCONT");
    stopped.child.send("commit");

    const late = checkpointAt({ sequenceNumber: "999" });
    expect(await waiting).toStrictEqual({ outcome: "behind", stored: late });
    await patient[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    expectWholeFile();
  });
});
