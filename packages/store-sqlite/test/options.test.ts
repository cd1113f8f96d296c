import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "@kc/core";
import Libsql from "libsql";
import { afterAll, describe, expect, it } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const directory = temporaryDirectory();
afterAll(() => directory.remove());

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(SqliteStore, [options]);
  } catch (error) {
    return error;
  }
}

describe("new SqliteStore", () => {
  const database = new Libsql(":memory:");
  it.each([
    ["path", {}, "give the path"],
    ["path", { path: "" }, "give the path"],
    ["path", { path: 5 }, "give the path"],
    ["path", { path: ":memory:" }, "MemoryStore"],
    ["path", { path: "libsql://host/db" }, "plain path"],
    ["path", { path: "libsql://host/db?authToken=secret" }, "plain path"],
    ["path", { path: "file:a.db?mode=ro" }, "plain path"],
    ["path", { path: "a\0.db" }, "plain path"],
    ["path", { path: "a.db", database }, "not both"],
    ["database", { database: {} }, "libsql or better-sqlite3"],
    ["database", { database: null }, "libsql or better-sqlite3"],
    ["busyTimeout", { path: "a.db", busyTimeout: 5 }, "did you mean busyTimeoutMs?"],
    ["busyTimeoutMs", { path: "a.db", busyTimeoutMs: -1 }, "0 to 600000"],
    ["busyTimeoutMs", { path: "a.db", busyTimeoutMs: 600_001 }, "0 to 600000"],
    ["busyTimeoutMs", { path: "a.db", busyTimeoutMs: 0.5 }, "0 to 600000"],
    ["busyTimeoutMs", { path: "a.db", busyTimeoutMs: Number.NaN }, "0 to 600000"],
    ["busyTimeoutMs", { path: "a.db", busyTimeoutMs: "5" }, "0 to 600000"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
    expect(String(error)).not.toContain("secret");
  });

  it("opens nothing and makes nothing before the first call", async () => {
    const path = join(directory.path, "untouched.db");
    const store = new SqliteStore({ path });
    await store[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(false);
  });

  it.each(["with % ? # and spaces.db", "ünïcödé-数.db", "C:not-a-url.db"])(
    "takes %s for the name of a file",
    async (name) => {
      const path = join(directory.path, name);
      const store = new SqliteStore({ path });
      await store.getCheckpoints({ application: "billing", streamName: "orders" });
      await store[Symbol.asyncDispose]();
      expect(existsSync(path)).toBe(true);
    },
  );
});
