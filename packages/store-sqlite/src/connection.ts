import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError, type CallOptions } from "@kc/core";
import { RefusalGrace } from "@kc/core/adapter";
import Libsql from "libsql";
import { Session, type SqliteDatabase } from "./driver.ts";
import { isLock, toStoreError } from "./errors.ts";
import { FileIdentity } from "./file-identity.ts";
import { filesystemOf, refuseNetwork } from "./filesystem.ts";
import type { CheckedOptions } from "./options.ts";

/** SQLite's own wait for a lock blocks the event loop, so it waits at most this long at a time. */
const BLOCKING_WAIT_MS = 10;
const PAUSE_MS = 10;
/** The write-ahead log is truncated to this size when it is reset. Another connection's long read makes it grow. */
const LOG_BYTES = 8 * 2 ** 20;

/**
 * The connection of one store, opened by the first call and kept open. A call that meets another process's lock is
 * tried again until `busyTimeoutMs` has passed, and the event loop runs between the attempts.
 */
export class Connection {
  /** The file, for messages. */
  readonly where: string;
  /** True if the store opened the database itself. */
  readonly owned: boolean;
  readonly #options: CheckedOptions;
  readonly #grace = new RefusalGrace();
  #file: OpenFile | undefined;
  #session: Session | undefined;
  #closed = false;

  constructor(options: CheckedOptions) {
    this.#options = options;
    this.owned = "path" in options.source;
    this.where =
      "path" in options.source ? options.source.path : "the SQLite database that was passed in";
  }

  /**
   * Runs synchronous work on the database. `work` is run again after a lock, so an attempt that fails must have rolled
   * back its writes.
   * @throws StoreError for everything but an abort, which rejects with the signal's reason.
   */
  async run<Answer>(
    work: (session: Session) => Answer,
    { signal }: CallOptions = {},
  ): Promise<Answer> {
    const deadline = performance.now() + this.#options.busyTimeoutMs;
    for (;;) {
      if (this.#closed)
        throw new StoreError("STORE_CLOSED", `${this.where}: the store was disposed`);
      signal?.throwIfAborted();
      try {
        const session = this.#open();
        const answer = work(session);
        // Checked before the answer is returned: a write to a removed file must not be acknowledged.
        this.#file?.identity.check();
        this.#grace.answered();
        return answer;
      } catch (error) {
        if (!isLock(error) || performance.now() >= deadline) {
          throw this.#grace.weigh(toStoreError(error, this.where));
        }
      }
      await pause(signal);
    }
  }

  /** Idempotent. Calls that wait for a lock reject with STORE_CLOSED. */
  close(): void {
    this.#closed = true;
    this.#session = undefined;
    this.#file?.database.close();
    this.#file = undefined;
  }

  #open(): Session {
    this.#session ??= new Session(this.#database());
    this.#file?.identity.check();
    const { database } = this.#session;
    if (!database.open) throw new StoreError("STORE_CLOSED", `${this.where} has been closed`);
    if (database.inTransaction) {
      // The owner's rollback would undo our writes after we had acknowledged them.
      throw Object.assign(new Error("its owner has a transaction open on this connection"), {
        code: "SQLITE_BUSY",
      });
    }
    return this.#session;
  }

  #database(): SqliteDatabase {
    const { source } = this.#options;
    if (!("path" in source)) return refuseJournalOff(source.database);
    const { path, mustExist } = source;
    if (mustExist && !existsSync(path)) {
      throw new StoreError(
        "STORE_ACCESS_DENIED",
        `${path} does not exist, and mustExist is set: is its volume mounted?`,
      );
    }
    this.#file = openFile(path);
    return this.#file.database;
  }
}

/** Refuses a database without a journal, in which a write that fails half-way is not rolled back. */
function refuseJournalOff(database: SqliteDatabase): SqliteDatabase {
  if (!database.open) return database;
  const [row] = new Session(database).query("PRAGMA journal_mode");
  if (row?.["journal_mode"] !== "off") return database;
  throw new StoreError(
    "STORE_FAILED",
    "the SQLite database that was passed in has journal_mode = OFF, so no write can be rolled " +
      "back: set WAL, or another mode",
  );
}

interface OpenFile {
  readonly database: Libsql.Database;
  readonly identity: FileIdentity;
}

/**
 * WAL: readers and the writer do not block each other. FULL: a commit reaches the disk before it is acknowledged.
 */
function openFile(path: string): OpenFile {
  refuseNetwork(path, filesystemOf(path));
  const database = new Libsql(path, { timeout: BLOCKING_WAIT_MS });
  try {
    const [row] = new Session(database).query("PRAGMA journal_mode = WAL");
    if (row?.["journal_mode"] !== "wal") {
      throw new StoreError(
        "STORE_FAILED",
        `${path}: this filesystem cannot hold a write-ahead log: use a local disk`,
      );
    }
    database.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${LOG_BYTES}`);
    // The first read opens the write-ahead log.
    database.exec("SELECT count(*) FROM sqlite_master");
    return { database, identity: new FileIdentity(path) };
  } catch (error) {
    database.close();
    throw error;
  }
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  const ms = PAUSE_MS * (0.5 + Math.random());
  await delay(ms, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
}
