import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, StoreError, type CallOptions } from "@kc/core";
import { CallLimit, RefusalGrace, TransactionTurns, turnsOf } from "@kc/core/adapter";
import type { PoolOptions } from "mysql2/promise";
import {
  discard,
  Session,
  UnfitConnection,
  type MysqlConnection,
  type MysqlPool,
} from "./driver.ts";
import { isLock, toStoreError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";
import { OwnPool } from "./own-pool.ts";
import { TransactionSession, type Limited } from "./transaction-session.ts";

/** The pause between two attempts that meet a lock. A statement takes a few milliseconds. */
const PAUSE_MS = 10;
/** After this many unusable connections in a row, the pool's configuration must be the cause. */
const MAX_UNFIT = 20;

/** Calls of one lane run one after another. `heartbeat` is for calls that must not wait for a flush. */
export type Lane = "work" | "heartbeat";
/** The connections that the store's calls use concurrently: one for each lane. */
const LANES = 2;

/** A call in flight. */
interface CallUnderWay {
  readonly limit: CallLimit;
  /** The error of the last lock that the call has met, for the message of a timeout. */
  lock?: unknown;
}

/**
 * The store's access to the server. In each lane one call at a time has a connection of the pool, and the others
 * queue here. So a pool of one connection is enough, and the pool's owner keeps the rest.
 *
 * Each statement is a transaction of its own. A call attempt ends in one of four ways:
 * - It is answered: the connection is released.
 * - It meets a lock: the call is tried again until its timeout.
 * - The connection is unfit: it is destroyed, the server rolls back, and the call is tried on another one.
 * - Anything else, including an abort and a timeout: the connection is destroyed unless it is idle.
 *
 * Transactions of handlers use a pool of their own, or the one that was passed in.
 */
export class Connection {
  readonly #options: CheckedOptions;
  readonly #closing = new AbortController();
  readonly #grace = new RefusalGrace();
  #pool: MysqlPool | undefined;
  #sessions: MysqlPool | undefined;
  readonly #own: OwnPool[] = [];
  readonly #prepared = new WeakSet();
  readonly #turns: Record<Lane, Promise<void>> = {
    work: Promise.resolve(),
    heartbeat: Promise.resolve(),
  };
  #closed: Promise<void> | undefined;

  /** Limits the concurrent transactions of handlers. */
  readonly turns: TransactionTurns;

  constructor(options: CheckedOptions) {
    this.#options = options;
    const { source } = options;
    // Stores that share a pool with callbacks each have their own promise wrapper of it.
    this.turns =
      "pool" in source ? turnsOf(source.pool.pool ?? source.pool) : new TransactionTurns();
    setMaxListeners(0, this.#closing.signal); // each call in flight listens
  }

  /**
   * `work` is run again after a lock, or on another connection, so it must start by reading the tables.
   * @throws KcError for everything but an abort, which rejects with the signal's reason.
   */
  run<Answer>(
    work: (session: Session) => Promise<Answer>,
    { signal }: CallOptions = {},
    lane: Lane = "work",
  ): Promise<Answer> {
    return this.#call(signal, (call) => this.#attempts(work, call, lane));
  }

  /**
   * The maximum number of concurrent transactions of handlers. It leaves connections for the store's own calls,
   * including heartbeats.
   * @throws ConfigError if the pool has too few connections
   */
  get mostTransactions(): number {
    const { source, maxTransactions } = this.#options;
    if (!("pool" in source)) return maxTransactions;
    const size = sizeOf(source.pool);
    if (size > LANES) return Math.min(maxTransactions, size - LANES);
    throw new ConfigError(
      "pool",
      `has ${size} connections, and a transaction of a handler needs ${LANES + 1}: its own and ${LANES} ` +
        `for the store's calls beside it. Raise \`connectionLimit\` to the number of shards and ${LANES}`,
    );
  }

  /** Checks out a connection and begins a transaction on it. @throws as `run` */
  begin(signal: AbortSignal): Promise<TransactionSession> {
    const limited: Limited = (work) => this.#call(signal, ({ limit }) => work(limit));
    return this.#call(signal, async ({ limit }) => {
      for (let unfit = 0; ;) {
        const connection = await this.#connect(this.#poolOfSessions, limit);
        try {
          await this.#prepare(connection, (each) => TransactionSession.prepare(each, limit, this.#options)); // prettier-ignore
          await TransactionSession.begin(connection, limit);
          return new TransactionSession(connection, limited);
        } catch (error) {
          discard(connection);
          if (!(error instanceof UnfitConnection)) throw error;
          if ((unfit += 1) === MAX_UNFIT) throw neverFit(error);
        }
      }
    });
  }

  /** Aborts with STORE_CLOSED when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Idempotent. Calls in flight reject with STORE_CLOSED. A pool that was passed in stays open. */
  close(): Promise<void> {
    this.#closing.abort(new StoreError("STORE_CLOSED", "MySQL: the store was disposed"));
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await Promise.all(Object.values(this.#turns));
    await Promise.all(this.#own.map((pool) => pool.close()));
  }

  /** One call, within its limits. */
  async #call<Answer>(
    signal: AbortSignal | undefined,
    work: (call: CallUnderWay) => Promise<Answer>,
  ): Promise<Answer> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const { timeoutMs } = this.#options;
    const limit = new CallLimit({
      timeoutMs,
      onTimeout: () => timedOut(timeoutMs, call.lock),
      signals: [this.#closing.signal, signal],
    });
    const call: CallUnderWay = { limit };
    try {
      const answer = await work(call);
      this.#grace.answered();
      return answer;
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : this.#grace.weigh(toStoreError(error));
    } finally {
      limit.stop();
    }
  }

  /**
   * Tries again while the call meets a lock. Other calls of the lane run between two attempts: the lock may be held
   * for long, and may not concern them.
   */
  async #attempts<Answer>(
    work: (session: Session) => Promise<Answer>,
    call: CallUnderWay,
    lane: Lane,
  ): Promise<Answer> {
    const { limit } = call;
    for (;;) {
      try {
        return await this.#inTurn(lane, limit, () => this.#attempt(work, limit));
      } catch (error) {
        if (!isLock(error)) throw error;
        call.lock = error;
      }
      await limit.wait(delay(PAUSE_MS * (0.5 + Math.random())));
    }
  }

  async #inTurn<Answer>(
    lane: Lane,
    limit: CallLimit,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    const before = this.#turns[lane];
    let done = (): void => undefined;
    this.#turns[lane] = new Promise((resolve) => (done = resolve));
    try {
      await limit.wait(before);
      return await work();
    } finally {
      void before.then(done);
    }
  }

  async #attempt<Answer>(
    work: (session: Session) => Promise<Answer>,
    limit: CallLimit,
  ): Promise<Answer> {
    for (let unfit = 0; ;) {
      const connection = await this.#connect(this.#poolOfCalls, limit);
      const session = new Session(connection, limit, this.#prepared.has(keyOf(connection)));
      try {
        await this.#prepare(connection, () => session.prepare());
        const answer = await work(session);
        connection.release();
        return answer;
      } catch (error) {
        if (error instanceof UnfitConnection) {
          discard(connection);
          if ((unfit += 1) < MAX_UNFIT) continue;
          throw neverFit(error);
        }
        // After a server error a new connection is used, which may reach another server.
        const healthy = isLock(error) || !toStoreError(error).retryable;
        if (session.idle && healthy) connection.release();
        else discard(connection);
        throw error;
      }
    }
  }

  /** Configures a connection of the store's own pool, once. */
  async #prepare(
    connection: MysqlConnection,
    prepare: (connection: MysqlConnection) => Promise<void>,
  ): Promise<void> {
    if ("pool" in this.#options.source || this.#prepared.has(keyOf(connection))) return;
    await prepare(connection);
    this.#prepared.add(keyOf(connection));
  }

  async #connect(pool: MysqlPool, limit: CallLimit): Promise<MysqlConnection> {
    const connecting = pool.getConnection();
    try {
      return await limit.wait(connecting);
    } catch (error) {
      // It may still arrive: then it is released immediately.
      connecting.then(
        (connection) => connection.release(),
        () => undefined,
      );
      throw error;
    }
  }

  get #poolOfCalls(): MysqlPool {
    return (this.#pool ??= this.#openPool({}));
  }

  get #poolOfSessions(): MysqlPool {
    return (this.#sessions ??= this.#openPool({ connectionLimit: this.#options.maxTransactions }));
  }

  #openPool(set: PoolOptions): MysqlPool {
    const { source, timeoutMs } = this.#options;
    if ("pool" in source) return source.pool;
    const own = new OwnPool({ connectTimeout: timeoutMs, ...source.connection, ...set });
    this.#own.push(own);
    return own.pool;
  }
}

/** The pool's connection limit; `Infinity` if it is unknown. */
function sizeOf({ pool }: MysqlPool): number {
  const limit: unknown = Object(Object(pool).config).connectionLimit;
  return typeof limit === "number" ? limit : Infinity;
}

/** The identity of a connection: the pool returns a new wrapper of it each time. */
const keyOf = (connection: MysqlConnection): object => connection.connection ?? connection;

function neverFit(error: UnfitConnection): StoreError {
  return new StoreError(
    "STORE_FAILED",
    `MySQL: ${error.message} on each connection of this pool: give the store a pool of its own`,
    { cause: error },
  );
}

function timedOut(timeoutMs: number, lock: unknown): StoreError {
  const what =
    lock === undefined ? "the server did not answer within" : "a lock was held for longer than";
  return new StoreError("STORE_UNAVAILABLE", `MySQL: ${what} ${timeoutMs} ms`, {
    retryable: true,
    cause: lock,
  });
}
