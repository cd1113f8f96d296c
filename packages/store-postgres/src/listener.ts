import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { toStoreError } from "./errors.ts";
import { wireOf } from "./wire.ts";

const BASE_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
/** The interval of keep-alive queries: a half-open connection reports no error by itself. */
const CHECK_MS = 15_000;
const CHECK_TIMEOUT_MS = 5000;

/**
 * LISTEN, on a dedicated connection for each watch: LISTEN is session state, which neither a pool nor PgBouncer's
 * transaction mode preserves.
 *
 * A watch is connecting, listening, or backing off after a failure. It reconnects until its signal aborts or the
 * store is closed. Each time it starts to listen it hints once, because notifications may have been missed. A
 * non-retryable failure ends it only if it has never listened: a later one may come from a failover.
 */
export class Listener {
  readonly #connection: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #closing: AbortSignal;

  constructor(
    connection: Readonly<Record<string, unknown>>,
    { where, closing }: { readonly where: string; readonly closing: AbortSignal },
  ) {
    this.#connection = connection;
    this.#where = where;
    this.#closing = closing;
  }

  /** @throws StoreError STORE_CLOSED; a non-retryable failure before it has ever listened */
  async watch(channel: string, onHint: () => void, signal: AbortSignal): Promise<void> {
    this.#closing.throwIfAborted();
    const stop = AbortSignal.any([signal, this.#closing]);
    let listened = false;
    let failures = 0;
    while (!stop.aborted) {
      try {
        await this.#listen(channel, onHint, stop, () => {
          listened = true;
          failures = 0;
        });
      } catch (thrown) {
        const error = toStoreError(thrown, this.#where, "");
        if (!listened && !error.retryable) throw error;
        const pauseMs = Math.min(BASE_BACKOFF_MS * 2 ** failures, MAX_BACKOFF_MS);
        failures += 1;
        await pause(pauseMs * (0.5 + Math.random() / 2), stop);
      }
    }
    if (!signal.aborted) throw this.#closing.reason;
  }

  /** Listens until the signal aborts. @throws the error that broke the connection */
  async #listen(
    channel: string,
    onHint: () => void,
    stop: AbortSignal,
    onListening: () => void,
  ): Promise<void> {
    const socket = wireOf(this.#connection);
    const client = new pg.Client({
      fallback_application_name: "@kc/store-postgres",
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      ...this.#connection,
      query_timeout: CHECK_TIMEOUT_MS,
      stream: () => socket,
    });
    const over = new AbortController();
    let check: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        stop.addEventListener("abort", () => resolve(), { signal: over.signal });
        client.on("error", reject);
        client.on("end", () => reject(new Error("Connection terminated")));
        client.on("notification", () => {
          if (!over.signal.aborted) onHint();
        });
        const begin = async (): Promise<void> => {
          await client.connect();
          await client.query(`LISTEN "${channel}"`);
          if (over.signal.aborted) return;
          onListening();
          onHint();
          check = setInterval(() => void client.query("SELECT").catch(reject), CHECK_MS);
        };
        begin().catch(reject);
      });
    } finally {
      over.abort();
      clearInterval(check);
      // Not awaited, and the socket is closed by us: an unreachable server would never close it.
      client.end().catch(() => undefined);
      if (socket.destroySoon) socket.destroySoon();
      else socket.destroy();
    }
  }
}

/** Resolves after the delay, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
