import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError, type CallOptions } from "@kc/core";
import { CallLimit, RefusalGrace } from "@kc/core/adapter";
import {
  giveBack,
  rowsOf,
  takeOut,
  type PostgresClient,
  type PostgresPool,
  type PostgresRow,
  type PostgresRows,
} from "./client.ts";
import { isConflict, keepsConnection, toStoreError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";
import { OwnPool } from "./own-pool.ts";

/** Below a heartbeat: who waits for a lock holds others. */
const LOCK_TIMEOUT_MS = 900;
/** A transaction that lost to another is run again at once, this many times. */
const ATTEMPTS = 5;
const PAUSE_MS = 20;

/** What a call is about, for the messages of its errors. */
export interface Subject {
  /** The table. */
  readonly where: string;
  /** What to do if it is missing or somebody else's. */
  readonly remedy: string;
}

/** Statements that go to the server in one text. Values are put into it by `quote`. */
export type MakeStatements = (quote: (value: string) => string) => readonly string[];

/**
 * The pool of one store, its own or one that was handed in, and everything that can happen to a
 * call: it ends with its answer, its caller's signal, its time, or the store's dispose, and its
 * connection goes back to the pool only if it is known to be whole.
 */
export class Connection {
  readonly #subject: Subject;
  readonly #pool: PostgresPool;
  readonly #end: () => Promise<void>;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  readonly #grace = new RefusalGrace();
  #closed: Promise<void> | undefined;

  /** `subject` is what calls are about that do not say so. */
  constructor({ source, timeoutMs }: CheckedOptions, subject: Subject) {
    this.#subject = subject;
    this.#timeoutMs = timeoutMs;
    setMaxListeners(0, this.#closing.signal); // each call under way listens
    if ("pool" in source) {
      this.#pool = source.pool;
      this.#end = async () => undefined;
    } else {
      const own = new OwnPool(source.connection, timeoutMs);
      this.#pool = own.pool;
      this.#end = () => own.close();
    }
  }

  /**
   * Runs statements as one transaction, in one round trip; answers with the rows of each.
   * @throws StoreError for everything but an abort, which rejects with the signal's reason.
   */
  async run(
    make: MakeStatements,
    {
      signal,
      lockTimeoutMs = LOCK_TIMEOUT_MS,
      subject = this.#subject,
    }: CallOptions & { lockTimeoutMs?: number; subject?: Subject } = {},
  ): Promise<readonly PostgresRows[]> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const limit = new CallLimit({
      timeoutMs: this.#timeoutMs,
      onTimeout: () =>
        new StoreError(
          "STORE_UNAVAILABLE",
          `${subject.where}: no answer within ${this.#timeoutMs} ms: the server or the network does ` +
            `not answer, or all connections of the pool are in use`,
          { retryable: true },
        ),
      signals: [this.#closing.signal, signal],
    });
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const rows = await this.#attempt(make, Math.min(lockTimeoutMs, this.#timeoutMs), limit);
          this.#grace.answered();
          return rows;
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error;
        }
        await limit.wait(delay(PAUSE_MS * attempt * Math.random()));
      }
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      throw this.#grace.weigh(toStoreError(error, subject.where, subject.remedy));
    } finally {
      limit.stop();
    }
  }

  /** The table, for messages. */
  get where(): string {
    return this.#subject.where;
  }

  /** Aborts with STORE_CLOSED when the store is disposed of. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Idempotent. Calls under way reject with STORE_CLOSED. */
  close(): Promise<void> {
    this.#closing.abort(new StoreError("STORE_CLOSED", `${this.where}: the store was disposed`));
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #attempt(
    make: MakeStatements,
    lockTimeoutMs: number,
    limit: CallLimit,
  ): Promise<readonly PostgresRows[]> {
    const client = await this.#checkOut(limit);
    let whole = false;
    try {
      const before = transaction(lockTimeoutMs, this.#timeoutMs);
      const statements = make((value) => client.escapeLiteral(value));
      const answer = await limit.wait(client.query([...before, ...statements].join(";\n")));
      const rows = rowsOf(answer);
      checkServer(rows[before.length - 1]?.[0]);
      whole = true;
      return rows.slice(before.length);
    } catch (error) {
      whole = !limit.signal.aborted && keepsConnection(error);
      throw error;
    } finally {
      giveBack(client, whole);
    }
  }

  /** A connection that comes when no caller waits any more goes back at once. */
  async #checkOut(limit: CallLimit): Promise<PostgresClient> {
    const pending = takeOut(this.#pool);
    try {
      return await limit.wait(pending);
    } catch (error) {
      pending.then(
        (client) => giveBack(client, true),
        () => undefined, // it failed, and no call waits for it
      );
      throw error;
    }
  }
}

/**
 * What comes before the statements of each call. The text is one transaction, so these settings end
 * with it. The server gives up when this process does, even if they cannot reach each other.
 */
function transaction(lockTimeoutMs: number, statementTimeoutMs: number): readonly string[] {
  return [
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    `SET LOCAL lock_timeout = ${lockTimeoutMs}`,
    `SET LOCAL statement_timeout = ${statementTimeoutMs}`,
    `SELECT pg_is_in_recovery()::text AS standby, current_setting('client_encoding') AS encoding,
      (now() = statement_timestamp())::text AS own_transaction`,
  ];
}

/**
 * A standby answers reads with what it has got so far: that could pass for "no checkpoint". What is
 * written in a transaction that somebody left open is not kept: it began before this text. And in
 * another encoding names become others, whose rows no other client finds: `pg` sends UTF-8 whatever is set.
 */
function checkServer(row: PostgresRow | undefined): void {
  const refuse = (why: string): never => {
    throw new StoreError("STORE_UNAVAILABLE", why, { retryable: true });
  };
  if (row?.["standby"] !== "false") {
    refuse("this Postgres server is a standby, which may lag: checkpoints are the primary's");
  }
  if (row?.["own_transaction"] !== "true") {
    refuse("a connection of the pool came with a transaction that its owner left open");
  }
  const encoding = row?.["encoding"] ?? "";
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return;
  throw new StoreError(
    "STORE_FAILED",
    `a connection of the pool has client_encoding ${encoding}: pg speaks UTF8, so do not set another`,
  );
}
