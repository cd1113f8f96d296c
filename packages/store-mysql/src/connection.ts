import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError, type CallOptions } from "@kc/core";
import { createPool, type Pool, type PoolOptions } from "mysql2/promise";
import { Session, type MysqlConnection, type MysqlPool } from "./database.ts";
import { isLock, toStoreError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";

/** Between two tries for a lock: a transaction takes a few milliseconds. */
const PAUSE_MS = 10;
/** How long connections of our own may take to say goodbye. */
const FAREWELL_MS = 1000;

/**
 * The store's way to the server. One call at a time has a connection of the pool; the others wait
 * their turn here, so that a pool of one is enough and the owner's work finds the rest of it free.
 *
 * A call ends in one of three ways. It is answered: the connection goes back. It meets a lock: it is
 * rolled back, and tried again until its time is over. Anything else, an abort and a time-out
 * included: the connection is destroyed unless nothing is open on it, and the server rolls back.
 */
export class Connection {
  readonly #options: CheckedOptions;
  readonly #calls = new Set<Call>();
  #pool: MysqlPool | undefined;
  #own: OwnPool | undefined;
  #turn: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: CheckedOptions) {
    this.#options = options;
  }

  /**
   * `work` is run again after a lock: what it did before was rolled back.
   * @throws KcError for everything but an abort, which rejects with the signal's reason.
   */
  async run<Answer>(
    work: (session: Session) => Promise<Answer>,
    { signal }: CallOptions = {},
  ): Promise<Answer> {
    if (this.#closing) throw closed();
    signal?.throwIfAborted();
    const call = new Call(this.#options.timeoutMs, signal);
    this.#calls.add(call);
    const before = this.#turn;
    let done = (): void => undefined;
    this.#turn = new Promise((resolve) => (done = resolve));
    try {
      await call.orInterrupted(before);
      return await this.#attempts(work, call);
    } catch (error) {
      throw call.interruption ? call.interruption.reason : toStoreError(error);
    } finally {
      void before.then(done);
      call.end();
      this.#calls.delete(call);
    }
  }

  /** Idempotent. Calls under way reject with STORE_CLOSED. A pool that was handed in stays open. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const call of this.#calls) call.interrupt(closed());
      await this.#turn;
      await this.#own?.close();
    })();
    return this.#closing;
  }

  async #attempts<Answer>(
    work: (session: Session) => Promise<Answer>,
    call: Call,
  ): Promise<Answer> {
    for (;;) {
      const connection = await this.#connect(call);
      const session = new Session(connection, call.interrupted);
      try {
        const answer = await work(session);
        connection.release();
        return answer;
      } catch (error) {
        // After trouble with the server another connection, which may lead to another server.
        const healthy = isLock(error) || !toStoreError(error).retryable;
        if (session.idle && healthy) connection.release();
        else discard(connection);
        if (!isLock(error)) throw error;
        call.lock = error;
      }
      await call.orInterrupted(delay(PAUSE_MS * (0.5 + Math.random())));
    }
  }

  async #connect(call: Call): Promise<MysqlConnection> {
    this.#pool ??= this.#openPool();
    const connecting = this.#pool.getConnection();
    try {
      return await call.orInterrupted(connecting);
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

/** One call: it is interrupted by its signal, by its time-out, or by the store's end. */
class Call {
  readonly interrupted: Promise<never>;
  /** Set once it was interrupted. */
  interruption: { readonly reason: unknown } | undefined;
  /** The last lock that it met. */
  lock: unknown;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.interrupt(this.#signal?.reason);
  #reject: (reason: unknown) => void = () => undefined;

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.interrupted = new Promise((_, reject) => (this.#reject = reject));
    this.interrupted.catch(() => undefined);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#timer = setTimeout(() => this.interrupt(timedOut(timeoutMs, this.lock)), timeoutMs);
  }

  interrupt(reason: unknown): void {
    this.interruption ??= { reason };
    this.#reject(reason);
  }

  orInterrupted<Answer>(promise: Promise<Answer>): Promise<Answer> {
    return Promise.race([promise, this.interrupted]);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** A pool that this store made, with its sockets: a dead server answers no goodbye. */
class OwnPool {
  readonly pool: Pool;
  readonly #sockets = new Set<Socket>();

  constructor(options: PoolOptions) {
    this.pool = createPool({ connectionLimit: 2, ...options });
    this.pool.on("connection", (connection) => {
      const socket = socketOf(connection);
      if (socket === undefined) return;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  async close(): Promise<void> {
    const farewell = new AbortController();
    await Promise.race([
      this.pool.end().catch(() => undefined),
      delay(FAREWELL_MS, undefined, { signal: farewell.signal }).catch(() => undefined),
    ]);
    farewell.abort();
    for (const socket of this.#sockets) socket.destroy();
  }
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

function closed(): StoreError {
  return new StoreError("STORE_CLOSED", "MySQL: the store was disposed");
}
