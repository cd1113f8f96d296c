import { join } from "node:path";
import type { LeaseStoreHarness } from "@kc/conformance";
import Libsql from "libsql";
import { SqliteStore } from "../../src/index.ts";
import { temporaryDirectory } from "./files.ts";

/** Long enough for the lock of a commit, short enough for a lock that is never given back. */
const busyTimeoutMs = 200;

/**
 * A file that every handle reaches through a connection of its own, in one of the two forms of the
 * constructor. An outage is a lock that another connection holds.
 */
export async function sqliteHarness(form: "path" | "database"): Promise<LeaseStoreHarness> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "checkpoints.db");
  const closers: (() => unknown)[] = [];

  const borrow = (): Libsql.Database => {
    const database = new Libsql(path);
    closers.push(() => database.close());
    return database;
  };
  const keep = (store: SqliteStore): SqliteStore => {
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const open = async (): Promise<SqliteStore> =>
    keep(
      new SqliteStore(
        form === "path" ? { path, busyTimeoutMs } : { database: borrow(), busyTimeoutMs },
      ),
    );

  await (await open()).setup();
  const locker = borrow();
  return {
    open,
    async breakConnection() {
      locker.exec("BEGIN EXCLUSIVE");
    },
    async restore() {
      locker.exec("ROLLBACK");
    },
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      const grant = locker.prepare(
        `INSERT INTO kc_checkpoints (application, stream_name, shard_id, epoch, owner)
           VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
      );
      grant.run([application, streamName, shardId, epoch, owner]);
    },
    async openOnBorrowedClient() {
      const database = borrow();
      return {
        store: keep(new SqliteStore({ database })),
        clientWorks: async () => database.prepare("SELECT 1").all([]).length === 1,
      };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      directory.remove();
    },
  };
}
