import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

/** How long connections may take to say goodbye. */
const FAREWELL_MS = 1000;

/**
 * A pool that this store made, with its sockets from the beginning: a dead server answers no goodbye,
 * and one that never answered a connect none either.
 */
export class OwnPool {
  readonly pool: pg.Pool;
  readonly #sockets = new Set<Socket>();

  /** `pg` connects at the first call. What breaks an idle connection is met by the next call. */
  constructor(connection: Readonly<Record<string, unknown>>, timeoutMs: number) {
    const { stream = () => new Socket() } = connection;
    this.pool = new pg.Pool({
      fallback_application_name: "@kc/store-postgres",
      keepAlive: true,
      ...connection,
      stream: () => this.#keep(typeof stream === "function" ? stream(connection) : stream),
      max: 2,
      connectionTimeoutMillis: timeoutMs,
      allowExitOnIdle: true,
    });
    this.pool.on("error", () => undefined);
  }

  async close(): Promise<void> {
    const farewell = new AbortController();
    await Promise.race([
      this.pool.end(),
      delay(FAREWELL_MS, undefined, { signal: farewell.signal }).catch(() => undefined),
    ]);
    farewell.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
