import { join } from "node:path";
import type { TransactionalStoreHarness } from "@kc/conformance";
import Libsql from "libsql";
import { SqliteStore } from "../../src/index.ts";
import { temporaryDirectory } from "./files.ts";

/** Long enough for the lock of a commit, short enough for a lock that is never given back. */
const busyTimeoutMs = 200;

/**
 * A file with a table of effects, which every handle reaches through a connection of its own. An outage is
 * a lock that another connection holds.
 */
export async function transactionalHarness(
  form: "path" | "database",
): Promise<TransactionalStoreHarness<Libsql.Database>> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "checkpoints.db");
  const closers: (() => unknown)[] = [];
  let cut: "before" | "after" | undefined;

  const borrow = (): Libsql.Database => {
    const database = new Libsql(path);
    database.exec("PRAGMA foreign_keys = ON");
    closers.push(() => database.close());
    return database;
  };
  /** Its next commit fails, as a disk does, once it is asked to. */
  const breaking = (database: Libsql.Database): Libsql.Database => {
    const exec = database.exec.bind(database);
    database.exec = (sql) => {
      const when = sql === "COMMIT" ? cut : undefined;
      if (when !== undefined) cut = undefined;
      if (when !== "before") exec(sql);
      if (when !== undefined)
        throw Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR" });
      return database;
    };
    return database;
  };
  const open = async (): Promise<SqliteStore> => {
    const store = new SqliteStore(
      form === "path" ? { path, busyTimeoutMs } : { database: breaking(borrow()), busyTimeoutMs },
    );
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };

  await (await open()).setup();
  const other = borrow();
  other.exec(`CREATE TABLE effects (name TEXT NOT NULL); CREATE TABLE parents (name TEXT PRIMARY KEY);
    CREATE TABLE children (name TEXT REFERENCES parents (name) DEFERRABLE INITIALLY DEFERRED)`);
  return {
    worksSynchronously: true,
    open,
    async breakConnection() {
      other.exec("BEGIN EXCLUSIVE");
    },
    async restore() {
      other.exec("ROLLBACK");
    },
    ...(form === "database" && { cutAtCommit: async (when) => void (cut = when) }),
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      const grant = other.prepare(
        `INSERT INTO kc_checkpoints (application, stream_name, shard_id, epoch, owner)
           VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
      );
      grant.run([application, streamName, shardId, epoch, owner]);
    },
    apply: (tx, effect) => void tx.prepare("INSERT INTO effects VALUES (?)").run([effect]),
    effects: async () =>
      other
        .prepare("SELECT name FROM effects")
        .all([])
        .map((row) => String(Object(row).name)),
    misuses: Object.fromEntries(
      ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"].map((text) => [text, (tx) => tx.exec(text)]),
    ),
    refuse: (tx) => void tx.exec("INSERT INTO children VALUES ('unknown')"),
    conflict: () => Object.assign(new Error("elsewhere"), { code: "SQLITE_BUSY" }),
    async letters(store) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the suite gives what `open` made
      const table = (store as SqliteStore).deadLetters();
      await table.setup();
      return table;
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      directory.remove();
    },
  };
}
