import { join } from "node:path";
import { allLetters, deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import Libsql from "libsql";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

/** A file of its own. An outage is a lock that another connection holds. */
async function harness(): Promise<DeadLetterHarness> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "letters.db");
  const stores: SqliteStore[] = [];
  const open = (): SqliteStore => {
    const store = new SqliteStore({ path, busyTimeoutMs: 200 });
    stores.push(store);
    return store;
  };
  const reader = open().deadLetters();
  await reader.setup();
  const locker = new Libsql(path);
  return {
    open: async () => open().deadLetters(),
    letters: () => allLetters(reader),
    async breakConnection() {
      locker.exec("BEGIN EXCLUSIVE");
    },
    async restore() {
      locker.exec("ROLLBACK");
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store.close();
      locker.close();
      directory.remove();
    },
  };
}

deadLetterConformance("SqliteStore's dead letters", harness);
