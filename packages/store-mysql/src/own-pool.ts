import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createPool, type Pool, type PoolOptions } from "mysql2/promise";

/** How long the pool may take to end gracefully. */
const END_TIMEOUT_MS = 1000;

/** The argument that mysql2 passes to its option `stream`, which opens a connection's socket. */
interface Target {
  readonly config: {
    readonly socketPath?: string;
    readonly port: number;
    readonly host: string;
    readonly enableKeepAlive: boolean;
    readonly keepAliveInitialDelay?: number;
  };
}

/**
 * A pool that the store has created, with its sockets. `close` can destroy them if the server does not respond,
 * even those that never finished connecting.
 */
export class OwnPool {
  readonly pool: Pool;
  readonly #sockets = new Set<Socket>();

  constructor(options: PoolOptions) {
    const stream: unknown = options.stream ?? open;
    this.pool = createPool({
      connectionLimit: 2,
      ...options,
      stream: typeof stream === "function" ? (to: Target) => this.#keep(stream(to)) : stream,
    });
  }

  async close(): Promise<void> {
    const timer = new AbortController();
    await Promise.race([
      this.pool.end().catch(() => undefined),
      delay(END_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}

/** Opens a socket as mysql2 does by default. */
function open({ config }: Target): Socket {
  const { socketPath, port, host, enableKeepAlive, keepAliveInitialDelay } = config;
  const socket = socketPath === undefined ? connect(port, host) : connect(socketPath);
  socket.setNoDelay(true);
  return socket.setKeepAlive(enableKeepAlive, keepAliveInitialDelay);
}
