import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import type { CheckpointWrite, StoreScope } from "@kc/core";
import Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const require = createRequire(import.meta.url);
const scope: StoreScope = { application: "billing", streamName: "orders" };
const shardId = "shardId-000000000000";
const at = (n: number): CheckpointWrite => ({
  shardId,
  checkpoint: { kind: "position", sequenceNumber: String(n) },
});

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
const stores: SqliteStore[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "a.db");
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
  directory.remove();
});

function open(options: { readonly mustExist?: boolean } = {}): SqliteStore {
  const store = new SqliteStore({ path, ...options });
  stores.push(store);
  return store;
}

/** What another process answers to a query; it takes itself for the only one that has the file open. */
function inAnotherProcess(query: string): unknown[] {
  const program = `
    const Libsql = require(${JSON.stringify(require.resolve("libsql"))});
    const database = new Libsql(${JSON.stringify(path)});
    console.log(JSON.stringify(database.prepare(${JSON.stringify(query)}).all([])));
    database.close();
  `;
  const answer = execFileSync(process.execPath, ["-e", program]);
  return JSON.parse(answer.toString()) as unknown[];
}

const found = (): unknown[] => inAnotherProcess("SELECT sequence_number FROM kc_checkpoints");

const logRemoved = {
  code: "STORE_FAILED",
  retryable: false,
  message: expect.stringContaining("its write-ahead log was removed"),
};

describe("this process read the file and closed it, which drops the file's locks", () => {
  it("once another process has removed the log, a write is refused rather than acknowledged and lost", async () => {
    const store = open();
    await store.setCheckpoint(scope, at(1));
    readFileSync(path);
    expect(found()).toEqual([{ sequence_number: "1" }]);
    expect(existsSync(`${path}-wal`)).toBe(false);
    await expect(store.setCheckpoint(scope, at(2))).rejects.toMatchObject(logRemoved);
    await store[Symbol.asyncDispose]();
    expect(found()).toEqual([{ sequence_number: "1" }]);
  });

  it("so it is where the path is a symbolic link: the log stands beside the file", async () => {
    const file = join(directory.path, "data", "b.db");
    mkdirSync(join(directory.path, "data"));
    symlinkSync(file, path);
    const store = open();
    await store.setCheckpoint(scope, at(1));
    readFileSync(path);
    expect(found()).toEqual([{ sequence_number: "1" }]);
    expect(existsSync(`${file}-wal`)).toBe(false);
    await expect(store.setCheckpoint(scope, at(2))).rejects.toMatchObject(logRemoved);
  });

  it("heartbeats and reads are refused too", async () => {
    const store = open();
    const worker = { workerId: "a", incarnation: "1", weight: 1, maxShards: undefined };
    await store.joinWorker(scope, worker);
    readFileSync(path);
    found();
    await expect(store.heartbeat(scope, worker)).rejects.toMatchObject(logRemoved);
    await expect(store.listWorkers(scope)).rejects.toMatchObject(logRemoved);
  });
});

describe("a directory that this user may not enter", () => {
  /** Root may enter any: it steps back for the time. */
  async function asAnybody<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const isRoot = process.geteuid!() === 0;
    if (isRoot) process.seteuid!(65_534);
    try {
      return await work();
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  }

  it("is refused: retried for a minute if it was open before, final if it never was", async () => {
    const store = open();
    await store.setCheckpoint(scope, at(1));
    chmodSync(directory.path, 0o000);
    const denied = { code: "STORE_ACCESS_DENIED", retryable: true };
    const refused = async (each: SqliteStore, error: object): Promise<void> =>
      expect(each.setCheckpoint(scope, at(2))).rejects.toMatchObject(error);
    await asAnybody(() => refused(store, denied));
    await asAnybody(() => refused(open(), { ...denied, retryable: false }));
    chmodSync(directory.path, 0o700);
    expect(await store.setCheckpoint(scope, at(2))).toMatchObject({ outcome: "written" });
  });
});

describe("a file that is replaced or removed", () => {
  it("is refused: the store says that the file at its path is another one", async () => {
    const store = open();
    await store.setCheckpoint(scope, at(1));
    const copy = join(directory.path, "copy.db");
    new Libsql(path).exec(`VACUUM INTO '${copy}'`);
    await store.setCheckpoint(scope, at(2));
    renameSync(copy, path);
    await expect(store.setCheckpoint(scope, at(3))).rejects.toMatchObject({
      code: "STORE_REGRESSED",
      retryable: false,
      message: expect.stringContaining(path),
    });
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject({ code: "STORE_REGRESSED" });
  });

  it("is refused when it is gone: a write into a removed file would be acknowledged and lost", async () => {
    const store = open();
    await store.setCheckpoint(scope, at(1));
    rmSync(path);
    await expect(store.setCheckpoint(scope, at(2))).rejects.toMatchObject({
      code: "STORE_REGRESSED",
      message: expect.stringContaining("removed"),
    });
  });
});

describe("the log", () => {
  it("that grew while another connection read for long shrinks again once the read is over", async () => {
    const store = open();
    await store.setCheckpoint(scope, at(1));
    const logBytes = () => statSync(`${path}-wal`).size;
    const most = 8 * 2 ** 20;
    const [reader, writer] = [new Libsql(path), new Libsql(path)];
    onTestFinished(() => [reader, writer].forEach((each) => each.close()));
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM kc_checkpoints").all();
    writer.exec(`CREATE TABLE filler AS SELECT zeroblob(${2 * most}) AS data`);
    expect(logBytes()).toBeGreaterThan(most);
    reader.exec("COMMIT");
    // The first write copies the log into the file, the second one begins it again.
    for (const position of [2, 3]) await store.setCheckpoint(scope, at(position));
    expect(logBytes()).toBeLessThanOrEqual(most);
  });
});

describe("mustExist", () => {
  it("refuses a path where no file is, and makes none", async () => {
    await expect(open({ mustExist: true }).getCheckpoints(scope)).rejects.toMatchObject({
      code: "STORE_ACCESS_DENIED",
      message: expect.stringContaining("mustExist"),
    });
    expect(existsSync(path)).toBe(false);
  });

  it("opens a file that is there", async () => {
    await open().setCheckpoint(scope, at(1));
    copyFileSync(path, `${path}.copy`);
    expect((await open({ mustExist: true }).getCheckpoints(scope)).size).toBe(1);
  });
});
