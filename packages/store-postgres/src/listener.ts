import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { toStoreError } from "./errors.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
/** So often the server is asked for a sign of life: a half-open connection tells nothing. */
const CHECK_MS = 15_000;
const CHECK_TIMEOUT_MS = 5000;

/**
 * LISTEN, on a connection of its own for each watch: it is a session's state, which neither a pool
 * nor PgBouncer's transaction mode keeps.
 *
 * A watch is connecting, listening, or pausing after a failure; it goes round until its signal
 * aborts or the store is disposed of. Whenever it has begun to listen it hints once, for what it
 * may have missed. It gives up on a failure that lasts if it never listened at all: later one may
 * be a failover's.
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

  /** @throws StoreError STORE_CLOSED; what keeps it from ever listening */
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
        const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
        failures += 1;
        await pause(pauseMs * (0.5 + Math.random() / 2), stop);
      }
    }
    if (!signal.aborted) throw this.#closing.reason;
  }

  /** Until the signal aborts. @throws what broke the connection */
  async #listen(
    channel: string,
    onHint: () => void,
    stop: AbortSignal,
    onListening: () => void,
  ): Promise<void> {
    const client = new pg.Client({
      fallback_application_name: "@kc/store-postgres",
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      ...this.#connection,
      query_timeout: CHECK_TIMEOUT_MS,
    });
    const broken = new Promise<never>((_, reject) => {
      client.on("error", reject);
      client.on("end", () => reject(new Error("Connection terminated")));
    });
    const stopped = new Promise<"stopped">((resolve) => {
      stop.addEventListener("abort", () => resolve("stopped"), { once: true });
    });
    const until = <Answer>(work: Promise<Answer>): Promise<Answer | "stopped"> =>
      Promise.race([work, stopped, broken]);
    broken.catch(() => undefined); // it also comes after the end, when nobody waits for it
    client.on("notification", onHint);
    try {
      if ((await until(client.connect())) === "stopped") return;
      if ((await until(client.query(`LISTEN "${channel}"`))) === "stopped") return;
      onListening();
      onHint();
      for (;;) {
        const rest = new AbortController();
        const waited = await until(pause(CHECK_MS, rest.signal)).finally(() => rest.abort());
        if (waited === "stopped") return;
        await until(client.query("SELECT"));
      }
    } finally {
      client.removeListener("notification", onHint);
      // Not waited for: a dead server answers no goodbye.
      client.end().catch(() => undefined);
    }
  }
}

/** Resolves when the time is over, or the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined);
}
