import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, StoreError, type CallOptions, type KcError } from "@kc/core";
import { CallLimit, RefusalGrace, TransactionTurns, turnsOf } from "@kc/core/adapter";
import {
  releaseClient,
  rowsOf,
  connectClient,
  type PostgresClient,
  type PostgresPool,
  type PostgresRows,
} from "./driver.ts";
import { isConflict, keepsConnection, toStoreError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";
import { OwnPool } from "./own-pool.ts";
import { checkServer, SERVER } from "./server-check.ts";
import { TransactionSession } from "./transaction-session.ts";

/** Shorter than a heartbeat interval: a transaction that waits for a lock holds others meanwhile. */
const LOCK_TIMEOUT_MS = 900;
/** The store's concurrent calls: a write, and a heartbeat beside it. */
const CALLS = 2;
/** The maximum number of attempts of a transaction that conflicts with others. */
const MAX_ATTEMPTS = 5;
const PAUSE_MS = 20;

/** The table that a call is about, for its error messages. */
export interface Subject {
  /** The table. */
  readonly where: string;
  /** What to do if the table is missing or belongs to another program. */
  readonly remedy: string;
}

/** A call's signal, and its subject unless that is the store's own table. */
type About = CallOptions & { readonly subject?: Subject };

/** Returns statements that are sent as one text. `quote` makes a literal of a value. */
export type MakeStatements = (quote: (value: string) => string) => readonly string[];

/**
 * The pool of one store: its own, or the user's. A call ends with its answer, its caller's signal, its timeout or
 * the store's close. Its connection returns to the pool only if it is known to be reusable.
 */
export class Connection {
  readonly #subject: Subject;
  readonly #pool: PostgresPool;
  /** The pool for the transactions of handlers. */
  readonly #sessions: PostgresPool;
  /** Limits the concurrent transactions of handlers. */
  readonly turns: TransactionTurns;
  readonly #end: () => Promise<void>;
  readonly #timeoutMs: number;
  readonly #maxTransactions: number;
  readonly #closing = new AbortController();
  readonly #grace = new RefusalGrace();
  #closed: Promise<void> | undefined;

  /** @param subject of the calls that do not name another */
  constructor({ source, timeoutMs, maxTransactions }: CheckedOptions, subject: Subject) {
    this.#subject = subject;
    this.#timeoutMs = timeoutMs;
    this.#maxTransactions = maxTransactions;
    setMaxListeners(0, this.#closing.signal); // each call in flight listens
    if ("pool" in source) {
      this.#pool = this.#sessions = source.pool;
      this.turns = turnsOf(source.pool);
      this.#end = async () => undefined;
    } else {
      const own = new OwnPool(source.connection, timeoutMs, CALLS);
      const sessions = new OwnPool(source.connection, timeoutMs, maxTransactions);
      this.turns = new TransactionTurns();
      this.#pool = own.pool;
      this.#sessions = sessions.pool;
      this.#end = async () => {
        await Promise.all([own.close(), sessions.close()]);
      };
    }
  }

  /**
   * Runs statements as one transaction in one round trip, and returns the rows of each.
   * @throws StoreError for everything but an abort, which rejects with the signal's reason.
   */
  run(
    make: MakeStatements,
    { lockTimeoutMs = this.#lockTimeoutMs, ...about }: About & { lockTimeoutMs?: number } = {},
  ): Promise<readonly PostgresRows[]> {
    return this.#call(async (limit) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await this.#attempt(make, Math.min(lockTimeoutMs, this.#timeoutMs), limit);
        } catch (error) {
          if (attempt === MAX_ATTEMPTS || !isConflict(error)) throw error;
        }
        await limit.wait(delay(PAUSE_MS * attempt * Math.random()));
      }
    }, about);
  }

  /**
   * The maximum number of concurrent transactions of handlers. It leaves connections for the store's own calls,
   * including heartbeats.
   * @throws ConfigError if the pool has too few connections
   */
  get mostTransactions(): number {
    if (this.#sessions !== this.#pool) return this.#maxTransactions;
    const { max = Infinity } = this.#pool.options ?? {};
    if (max > CALLS) return Math.min(this.#maxTransactions, max - CALLS);
    throw new ConfigError(
      "pool",
      `has ${max} connections, and a transaction of a handler needs ${CALLS + 1}: its own and ${CALLS} ` +
        `for the store's calls beside it. Raise \`max\` to the number of shards and ${CALLS}`,
    );
  }

  /** Checks out a connection and begins a transaction on it. @throws as `run` */
  async begin(idleMs: number, signal: AbortSignal): Promise<TransactionSession> {
    const client = await this.#call((limit) => this.#checkOut(this.#sessions, limit), { signal });
    const session = new TransactionSession(client, (work) => this.#call(work, { signal }));
    try {
      await session.begin(idleMs);
      return session;
    } catch (error) {
      session.discard();
      throw error;
    }
  }

  /** The settings for the last statements of a handler's transaction. */
  get limits(): readonly string[] {
    return limits(this.#lockTimeoutMs, this.#timeoutMs);
  }

  /** A driver's error as the error that the store throws. */
  failure(error: unknown): KcError {
    return toStoreError(error, this.where, this.#subject.remedy);
  }

  /** The table, for messages. */
  get where(): string {
    return this.#subject.where;
  }

  /** Aborts with STORE_CLOSED when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Idempotent. Calls in flight reject with STORE_CLOSED. */
  close(): Promise<void> {
    this.#closing.abort(new StoreError("STORE_CLOSED", `${this.where}: the store was disposed`));
    this.#closed ??= this.#end();
    return this.#closed;
  }

  /** Well below the call's own time limit, so that the server tells a lock from a connection that does not answer. */
  get #lockTimeoutMs(): number {
    return Math.min(LOCK_TIMEOUT_MS, Math.ceil(this.#timeoutMs / 2));
  }

  /** One call, within its limits. */
  async #call<Answer>(
    work: (limit: CallLimit) => Promise<Answer>,
    { signal, subject = this.#subject }: About,
  ): Promise<Answer> {
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
      const answer = await work(limit);
      this.#grace.answered();
      return answer;
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      throw this.#grace.weigh(toStoreError(error, subject.where, subject.remedy));
    } finally {
      limit.stop();
    }
  }

  async #attempt(
    make: MakeStatements,
    lockTimeoutMs: number,
    limit: CallLimit,
  ): Promise<readonly PostgresRows[]> {
    const client = await this.#checkOut(this.#pool, limit);
    let reusable = false;
    try {
      const before = transaction(lockTimeoutMs, this.#timeoutMs);
      const statements = make((value) => client.escapeLiteral(value));
      const answer = await limit.wait(client.query([...before, ...statements].join(";\n")));
      const rows = rowsOf(answer);
      checkServer(rows[before.length - 1]?.[0]);
      reusable = true;
      return rows.slice(before.length);
    } catch (error) {
      reusable = !limit.signal.aborted && keepsConnection(error);
      throw error;
    } finally {
      releaseClient(client, reusable);
    }
  }

  /** A connection that arrives after its caller has stopped waiting is released immediately. */
  async #checkOut(pool: PostgresPool, limit: CallLimit): Promise<PostgresClient> {
    const pending = connectClient(pool);
    try {
      return await limit.wait(pending);
    } catch (error) {
      pending.then(
        (client) => releaseClient(client, true),
        () => undefined, // it failed, and no caller waits for it
      );
      throw error;
    }
  }
}

/**
 * The statements before those of each call. The text is one transaction, so these settings end with it. The
 * server's timeout is that of the call, so the server stops too if the connection is lost.
 */
function transaction(lockTimeoutMs: number, statementTimeoutMs: number): readonly string[] {
  return [
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ...limits(lockTimeoutMs, statementTimeoutMs),
    `SELECT ${SERVER}`,
  ];
}

function limits(lockTimeoutMs: number, statementTimeoutMs: number): readonly string[] {
  return [
    `SET LOCAL lock_timeout = ${lockTimeoutMs}`,
    `SET LOCAL statement_timeout = ${statementTimeoutMs}`,
  ];
}
