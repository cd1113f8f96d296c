import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { wireOf, type Wire } from "./wire.ts";

/** How long the pool may take to end gracefully. */
const END_TIMEOUT_MS = 1000;

/**
 * A pool that the store has created, with its sockets. `close` can destroy them if the server does not respond,
 * even those that never finished connecting.
 */
export class OwnPool {
  readonly pool: pg.Pool;
  readonly #sockets = new Set<Wire>();

  /** `pg` connects at the first call. Errors of idle connections are ignored: the next call reports them. */
  constructor(connection: Readonly<Record<string, unknown>>, timeoutMs: number, max: number) {
    this.pool = new pg.Pool({
      fallback_application_name: "@kc/store-postgres",
      keepAlive: true,
      ...connection,
      stream: () => this.#keep(wireOf(connection)),
      max,
      connectionTimeoutMillis: timeoutMs,
      allowExitOnIdle: true,
    });
    this.pool.on("error", () => undefined);
  }

  async close(): Promise<void> {
    const timer = new AbortController();
    await Promise.race([
      this.pool.end(),
      delay(END_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Wire): Wire {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
