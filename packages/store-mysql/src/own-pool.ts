import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createPool, type Pool, type PoolOptions } from "mysql2/promise";

/** How long connections may take to say goodbye. */
const END_TIMEOUT_MS = 1000;

/** What mysql2 hands to the maker of a connection's socket. */
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
 * A pool that this store made, with its sockets from the beginning: a dead server answers no goodbye,
 * and one that never answered a connect none either.
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

/** As mysql2 does it by itself. */
function open({ config }: Target): Socket {
  const { socketPath, port, host, enableKeepAlive, keepAliveInitialDelay } = config;
  const socket = socketPath === undefined ? connect(port, host) : connect(socketPath);
  socket.setNoDelay(true);
  return socket.setKeepAlive(enableKeepAlive, keepAliveInitialDelay);
}
