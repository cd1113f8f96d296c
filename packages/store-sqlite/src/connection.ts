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

/** SQLite's own wait for a lock blocks the event loop: it gets this much of it at a time. */
const BLOCKING_WAIT_MS = 10;
const PAUSE_MS = 10;
/** The log is cut to this size when it begins again: a long read of somebody else makes it grow. */
const LOG_BYTES = 8 * 2 ** 20;

/**
 * The connection of one store, opened by the first call and kept. A call that meets another
 * process's lock is tried again until `busyTimeoutMs` is over, and the event loop runs between the
 * attempts.
 */
export class Connection {
  /** The file, for messages. */
  readonly where: string;
  /** Did this store open the database itself? */
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
      "path" in options.source ? options.source.path : "the SQLite database that was handed in";
  }

  /**
   * Runs synchronous work on the database. `work` is run again after a lock, so what it did before
   * must have been rolled back.
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
        // Before the answer counts: what went into a file that is no longer there must not.
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
      // What we wrote would be rolled back with it, after we had said that it is kept.
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
        `${path} is not there, and mustExist forbids to make it: is its volume mounted?`,
      );
    }
    this.#file = openFile(path);
    return this.#file.database;
  }
}

/** Without a journal a write that fails half-way is not undone. */
function refuseJournalOff(database: SqliteDatabase): SqliteDatabase {
  if (!database.open) return database;
  const [row] = new Session(database).query("PRAGMA journal_mode");
  if (row?.["journal_mode"] !== "off") return database;
  throw new StoreError(
    "STORE_FAILED",
    "the SQLite database that was handed in has journal_mode = OFF, so no write can be rolled " +
      "back: set WAL, or another",
  );
}

interface OpenFile {
  readonly database: Libsql.Database;
  readonly identity: FileIdentity;
}

/**
 * WAL: readers and the writer do not wait for each other. FULL: a commit has reached the disk
 * before it is acknowledged.
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
    // The first read opens the log.
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
