import {
  Connection,
  type ConnectionLimits,
  type ConnectTarget,
  type HttpReply,
  type ReplyStarted,
} from "./connection.ts";
import { connectionClosed } from "./sdk-errors.ts";

export interface PoolOptions {
  readonly target: ConnectTarget;
  readonly maxSockets: number;
  /** How long opening a connection may take, with TLS, in milliseconds; 0 = no limit. */
  readonly connectionTimeout: number;
}

export interface PooledRequest {
  readonly message: Buffer;
  readonly method: string;
  readonly started: ReplyStarted | undefined;
}

/** Cancels one request, whether it waits for a connection or is in flight. */
export class Cancellation {
  reason: Error | undefined;
  /** Ends the current step of the request. */
  onCancel: ((reason: Error) => void) | undefined;

  cancel(reason: Error): void {
    this.reason ??= reason;
    this.onCancel?.(reason);
  }
}

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (reason: Error) => void;
}

const LIMITS: ConnectionLimits = {
  /** After a longer idle time, a firewall may have dropped the connection. */
  idleMs: 60_000,
  /** A new connection resolves the host again: it may have moved while the old address still answers. */
  lifeMs: 300_000,
};

/** The connections to one endpoint. A request uses the most recently used idle one, or opens another. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #open = new Set<Connection>();
  /** In the order of their last use. */
  readonly #idle: Connection[] = [];
  readonly #waiting: Waiter[] = [];
  /** The last TLS session, which the next connection resumes. */
  #session: Buffer | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  async request(request: PooledRequest, cancellation: Cancellation): Promise<HttpReply> {
    const connection = this.#acquire() ?? (await this.#wait(cancellation));
    try {
      if (cancellation.reason !== undefined) throw cancellation.reason;
      cancellation.onCancel = (reason) => connection.destroy(reason);
      return await connection.exchange(request.message, request.method, request.started);
    } finally {
      // From here on, the connection may belong to another request.
      cancellation.onCancel = undefined;
      this.#release(connection);
    }
  }

  /** Closes all connections. Requests that are in flight or waiting reject. */
  destroy(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(connectionClosed());
    for (const connection of this.#open) connection.destroy();
  }

  /** Returns a usable connection; `undefined` if all are in use. */
  #acquire(): Connection | undefined {
    const now = performance.now();
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isReusable(now, LIMITS)) return connection;
      connection.destroy();
    }
    return this.#open.size < this.#options.maxSockets ? this.#connect() : undefined;
  }

  /** Waits for a free connection: first in, first out. */
  #wait(cancellation: Cancellation): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.push(waiter);
      cancellation.onCancel = (reason) => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(reason);
      };
    });
  }

  /** A reply may arrive before its request was sent. One turn of the event loop later, such a connection is closed. */
  #release(connection: Connection): void {
    if (connection.isSent) return this.#free(connection);
    setImmediate(() => {
      if (connection.isSent) this.#free(connection);
      else connection.destroy();
    });
  }

  #free(connection: Connection): void {
    if (!connection.isOpen) return;
    connection.markIdle();
    // Closing it opens another one for a waiting request.
    if (!connection.isReusable(performance.now(), LIMITS)) return connection.destroy();
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(connection);
    else {
      this.#idle.push(connection);
      this.#closeExpired();
    }
  }

  /** After a burst, the oldest idle connections are never used again, and a server may keep them open for ever. */
  #closeExpired(): void {
    const now = performance.now();
    while (this.#idle[0]?.isReusable(now, LIMITS) === false) this.#idle[0].destroy();
  }

  #closed(connection: Connection): void {
    this.#open.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (this.#waiting.length > 0) this.#waiting.shift()!.resolve(this.#connect());
  }

  #connect(): Connection {
    const { target, connectionTimeout } = this.#options;
    const { tls } = target;
    const session = this.#session;
    const connection: Connection = new Connection({
      target:
        tls === undefined || session === undefined
          ? target
          : { ...target, tls: { ...tls, session } },
      connectionTimeout,
      onSession: (latest) => (this.#session = latest),
      onClose: () => {
        // The next connection might fail with the same session.
        if (!connection.hasAnswered) this.#session = undefined;
        this.#closed(connection);
      },
    });
    this.#open.add(connection);
    return connection;
  }
}
