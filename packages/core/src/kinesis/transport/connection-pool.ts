import {
  Connection,
  type ConnectionLimits,
  type ConnectTarget,
  type HttpReply,
  type ReplyStarted,
} from "./connection.ts";
import { brokenOff } from "../reply-memory.ts";

export interface PoolOptions {
  readonly target: ConnectTarget;
  readonly maxSockets: number;
  /** For a connection, TLS included, in milliseconds; 0 = without limit. */
  readonly connectionTimeout: number;
}

export interface PooledRequest {
  readonly message: Buffer;
  readonly method: string;
  readonly started: ReplyStarted | undefined;
}

/** Ends one request, wherever it is: it waits for a connection, or has one. */
export class Cancellation {
  reason: Error | undefined;
  /** What ends the step that is under way. */
  step: ((reason: Error) => void) | undefined;

  cancel(reason: Error): void {
    this.reason ??= reason;
    this.step?.(reason);
  }
}

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (reason: Error) => void;
}

const LONGEST: ConnectionLimits = {
  /** Longer, and a firewall in between may have forgotten it. */
  idleMs: 60_000,
  /** Another one looks the host up again: it may have moved, while the old address still answers. */
  lifeMs: 300_000,
};

/** The connections to one endpoint. A request takes the one that was used last, or opens another. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #open = new Set<Connection>();
  /** The last one was used last. */
  readonly #idle: Connection[] = [];
  readonly #waiting: Waiter[] = [];
  /** Of the last TLS connection, for the next one to resume. */
  #session: Buffer | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  async request(request: PooledRequest, cancellation: Cancellation): Promise<HttpReply> {
    const connection = this.#take() ?? (await this.#turn(cancellation));
    try {
      if (cancellation.reason !== undefined) throw cancellation.reason;
      cancellation.step = (reason) => connection.destroy(reason);
      return await connection.exchange(request.message, request.method, request.started);
    } finally {
      // The connection is another request's from here on.
      cancellation.step = undefined;
      this.#giveBack(connection);
    }
  }

  /** Closes all connections. Requests reject that are under way, or wait. */
  destroy(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(brokenOff());
    for (const connection of this.#open) connection.destroy();
  }

  #take(): Connection | undefined {
    const now = performance.now();
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isReusable(now, LONGEST)) return connection;
      connection.destroy();
    }
    return this.#open.size < this.#options.maxSockets ? this.#connect() : undefined;
  }

  /** All connections are in use: the next one that is free, in the order of the requests. */
  #turn(cancellation: Cancellation): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.push(waiter);
      cancellation.step = (reason) => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(reason);
      };
    });
  }

  /** A reply may come before its request has left: such a connection is closed, a turn of the event loop later. */
  #giveBack(connection: Connection): void {
    if (connection.isSent) return this.#free(connection);
    setImmediate(() => {
      if (connection.isSent) this.#free(connection);
      else connection.destroy();
    });
  }

  #free(connection: Connection): void {
    if (!connection.isOpen) return;
    connection.rest();
    // Who waits gets another one then.
    if (!connection.isReusable(performance.now(), LONGEST)) return connection.destroy();
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(connection);
    else {
      this.#idle.push(connection);
      this.#closeUnneeded();
    }
  }

  /** After a burst, the first ones are not used any more: a server may keep them open for ever. */
  #closeUnneeded(): void {
    const now = performance.now();
    while (this.#idle[0]?.isReusable(now, LONGEST) === false) this.#idle[0].destroy();
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
      onSession: (given) => (this.#session = given),
      onClose: () => {
        // With the session, the next one might fail alike.
        if (!connection.hasAnswered) this.#session = undefined;
        this.#closed(connection);
      },
    });
    this.#open.add(connection);
    return connection;
  }
}
