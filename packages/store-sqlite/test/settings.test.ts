import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { leaseStoreRound } from "@kc/conformance";
import Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { filesystemOf, refuseNetwork } from "../src/filesystem.ts";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

/** What the owner of a database that is handed in may have set, and the store works under. */
const WORKS: readonly (readonly [string, readonly string[]])[] = [
  ["journal_mode", ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL"]],
  ["synchronous", ["OFF", "NORMAL", "FULL", "EXTRA"]],
  ["locking_mode", ["EXCLUSIVE"]],
  ["foreign_keys", ["ON"]],
  ["defer_foreign_keys", ["ON"]],
  ["recursive_triggers", ["ON"]],
  ["busy_timeout", ["0", "50"]],
  ["encoding", ["'UTF-16le'"]],
  ["page_size", ["512", "65536"]],
  ["auto_vacuum", ["FULL"]],
  ["secure_delete", ["ON"]],
  ["reverse_unordered_selects", ["ON"]],
  ["case_sensitive_like", ["ON"]],
  ["read_uncommitted", ["ON"]],
  ["trusted_schema", ["OFF"]],
  ["cell_size_check", ["ON"]],
  ["temp_store", ["MEMORY"]],
  ["mmap_size", ["268435456"]],
  ["wal_autocheckpoint", ["0"]],
];

const scope = { application: "billing", streamName: "orders" };
let directory: ReturnType<typeof temporaryDirectory>;
let path: string;

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "a.db");
});
afterEach(() => directory.remove());

function open(pragma: string): Libsql.Database {
  const database = new Libsql(path);
  database.prepare(`PRAGMA ${pragma}`).all([]);
  return database;
}

describe("a database that was handed in", () => {
  it.each(WORKS.flatMap(([name, values]) => values.map((value) => [name, value])))(
    "with %s = %s works",
    async (name, value) => {
      const database = open(`${name} = ${value}`);
      const store = new SqliteStore({ database });
      await store.setup();
      await leaseStoreRound(store);
      database.close();
    },
  );

  it("with integers as BigInts works", async () => {
    const database = open("foreign_keys = ON").defaultSafeIntegers(true);
    const store = new SqliteStore({ database });
    await store.setup();
    await leaseStoreRound(store);
    database.close();
  });

  it("with journal_mode = OFF is refused by name: nothing could be rolled back", async () => {
    const database = open("journal_mode = OFF");
    const store = new SqliteStore({ database });
    const refused = {
      code: "STORE_FAILED",
      retryable: false,
      message: expect.stringContaining("journal_mode"),
    };
    await expect(store.setup()).rejects.toMatchObject(refused);
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(refused);
    database.close();
  });

  it("with query_only = ON is refused: it takes no writes", async () => {
    const database = open("query_only = ON");
    const refused = { code: "STORE_ACCESS_DENIED", retryable: false };
    await expect(new SqliteStore({ database }).setup()).rejects.toMatchObject(refused);
    database.close();
  });
});

describe("the filesystem of a path", () => {
  it.each([
    ["NFS", 0x6969],
    ["SMB", 0xff534d42],
    ["SMB", 0xfe534d42],
    ["AFS", 0x5346414f],
    ["Ceph", 0x00c36400],
    ["Lustre", 0x0bd00bd0],
  ])("of a network, %s, is refused by name", (name, filesystem) => {
    const refused = {
      code: "STORE_FAILED",
      retryable: false,
      message: expect.stringContaining(name),
    };
    expect(catchError(() => refuseNetwork(path, filesystem))).toMatchObject(refused);
  });

  it("is looked at before the file is made, and of a link's target once it is", () => {
    const local = filesystemOf(directory.path);
    expect(filesystemOf(path)).toBe(local);
    symlinkSync("/proc/version", path);
    expect(filesystemOf(path)).toBe(process.platform === "linux" ? 0x9fa0 : undefined);
    expect(catchError(() => refuseNetwork(path, local))).toBeUndefined();
  });
});

function catchError(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
}

it("opened read-only is refused by name at the first write, which is a consumer's first call", async () => {
  const writable = new SqliteStore({ path });
  await writable.setup();
  await writable[Symbol.asyncDispose]();
  const database = new Libsql(`file:${path}?mode=ro`);
  const store = new SqliteStore({ database });
  const start = { start: "LATEST", startedAt: new Date(), migrated: false } as const;
  await expect(
    store.openApplication(scope, { ...scope, ...start, streamARN: "arn:aws:kinesis:::orders" }),
  ).rejects.toMatchObject({
    code: "STORE_ACCESS_DENIED",
    retryable: false,
    message: expect.stringContaining("SQLITE_READONLY"),
  });
  database.close();
});

it("the README says what becomes of each setting", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
  for (const name of [...WORKS.map(([each]) => each), "query_only", "mode=ro", "NFS"]) {
    expect(section).toMatch(new RegExp(`\\b${name}\\b`));
  }
});
