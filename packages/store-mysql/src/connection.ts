import { setMaxListeners } from "node:events";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError, type CallOptions } from "@kc/core";
import { CallLimit, RefusalGrace } from "@kc/core/adapter";
import { Session, UnfitConnection, type MysqlConnection, type MysqlPool } from "./database.ts";
import { isLock, toStoreError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";
import { OwnPool } from "./own-pool.ts";

/** Between two tries for a lock: a statement takes a few milliseconds. */
const PAUSE_MS = 10;
/** A pool that gives as many connections one after another that do not commit is set up so. */
const MOST_UNFIT = 20;

/** Calls of one lane come one after another. `heartbeat` is for those that may not wait for a flush. */
export type Lane = "work" | "heartbeat";

/**
 * The store's way to the server. In each lane one call at a time has a connection of the pool; the
 * others wait their turn here, so that a pool of one is enough and the owner's work finds the rest
 * of it free.
 *
 * Each statement is a transaction of its own. A call ends in one of four ways. It is answered: the
 * connection goes back. It meets a lock: it is tried again until its time is over. The connection is
 * unfit: it is destroyed, the server rolls back, and the call is tried on another. Anything else, an
 * abort and a time-out included: the connection is destroyed unless it is idle.
 */
export class Connection {
  readonly #options: CheckedOptions;
  readonly #closing = new AbortController();
  readonly #grace = new RefusalGrace();
  #pool: MysqlPool | undefined;
  #own: OwnPool | undefined;
  readonly #prepared = new WeakSet();
  readonly #turns: Record<Lane, Promise<void>> = {
    work: Promise.resolve(),
    heartbeat: Promise.resolve(),
  };
  #closed: Promise<void> | undefined;

  constructor(options: CheckedOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // each call under way listens
  }

  /**
   * `work` is run again after a lock or on another connection: it begins with a look at the tables.
   * @throws KcError for everything but an abort, which rejects with the signal's reason.
   */
  async run<Answer>(
    work: (session: Session) => Promise<Answer>,
    { signal }: CallOptions = {},
    lane: Lane = "work",
  ): Promise<Answer> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const { timeoutMs } = this.#options;
    let lock: unknown;
    const limit = new CallLimit({
      timeoutMs,
      onTimeout: () => timedOut(timeoutMs, lock),
      signals: [this.#closing.signal, signal],
    });
    const before = this.#turns[lane];
    let done = (): void => undefined;
    this.#turns[lane] = new Promise((resolve) => (done = resolve));
    try {
      await limit.wait(before);
      const answer = await this.#attempts(work, limit, (error) => (lock = error));
      this.#grace.answered();
      return answer;
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : this.#grace.weigh(toStoreError(error));
    } finally {
      void before.then(done);
      limit.stop();
    }
  }

  /** Idempotent. Calls under way reject with STORE_CLOSED. A pool that was handed in stays open. */
  close(): Promise<void> {
    this.#closing.abort(new StoreError("STORE_CLOSED", "MySQL: the store was disposed"));
    this.#closed ??= Promise.all(Object.values(this.#turns)).then(() => this.#own?.close());
    return this.#closed;
  }

  async #attempts<Answer>(
    work: (session: Session) => Promise<Answer>,
    limit: CallLimit,
    onLock: (error: unknown) => void,
  ): Promise<Answer> {
    for (let unfit = 0; ;) {
      const connection = await this.#connect(limit);
      const session = new Session(connection, limit, this.#prepared.has(keyOf(connection)));
      try {
        if (this.#own !== undefined) await this.#prepare(connection, session);
        const answer = await work(session);
        connection.release();
        return answer;
      } catch (error) {
        if (error instanceof UnfitConnection) {
          discard(connection);
          if ((unfit += 1) < MOST_UNFIT) continue;
          throw neverFit(error);
        }
        // After trouble with the server another connection, which may lead to another server.
        const healthy = isLock(error) || !toStoreError(error).retryable;
        if (session.idle && healthy) connection.release();
        else discard(connection);
        if (!isLock(error)) throw error;
        onLock(error);
      }
      await limit.wait(delay(PAUSE_MS * (0.5 + Math.random())));
    }
  }

  async #prepare(connection: MysqlConnection, session: Session): Promise<void> {
    if (this.#prepared.has(keyOf(connection))) return;
    await session.prepare();
    this.#prepared.add(keyOf(connection));
  }

  async #connect(limit: CallLimit): Promise<MysqlConnection> {
    this.#pool ??= this.#openPool();
    const connecting = this.#pool.getConnection();
    try {
      return await limit.wait(connecting);
    } catch (error) {
      // It may still come: then it goes back at once.
      connecting.then(
        (connection) => connection.release(),
        () => undefined,
      );
      throw error;
    }
  }

  #openPool(): MysqlPool {
    const { source, timeoutMs } = this.#options;
    if ("pool" in source) return source.pool;
    this.#own = new OwnPool({ connectTimeout: timeoutMs, ...source.connection });
    return this.#own.pool;
  }
}

/** The pool wraps a connection again each time. */
const keyOf = (connection: MysqlConnection): object => connection.connection ?? connection;

function neverFit(error: UnfitConnection): StoreError {
  return new StoreError(
    "STORE_FAILED",
    `MySQL: ${error.message} on each connection of this pool: give the store a pool of its own`,
    { cause: error },
  );
}

/** mysql2's own `destroy` waits for the server's side to close, which a dead server never does. */
function discard(connection: MysqlConnection): void {
  connection.destroy();
  socketOf(connection.connection)?.destroy();
}

function socketOf(connection: object | undefined): Socket | undefined {
  const stream: unknown = connection && Reflect.get(connection, "stream");
  return stream instanceof Socket ? stream : undefined;
}

function timedOut(timeoutMs: number, lock: unknown): StoreError {
  const what =
    lock === undefined ? "the server did not answer within" : "a lock was held for longer than";
  return new StoreError("STORE_UNAVAILABLE", `MySQL: ${what} ${timeoutMs} ms`, {
    retryable: true,
    cause: lock,
  });
}
