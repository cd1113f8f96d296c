import { setMaxListeners } from "node:events";
import { StoreError, type CallOptions } from "@kc/core";
import { CallLimit, RefusalGrace } from "@kc/core/adapter";
import { Redis, type RedisOptions } from "ioredis";
import type { RedisClient, RedisNode } from "./driver.ts";
import { isNoScript, isNotPrimary, toStoreError } from "./errors.ts";
import { listen } from "./listener.ts";
import type { CheckedOptions, RedisConnection } from "./options.ts";
import { deniedByScript, deniedSubscription } from "./denied-access.ts";
import { scanPageOf } from "./replies.ts";
import type { Script } from "./script.ts";

/** One call of a script. */
export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

type Command = readonly [name: "evalsha" | "eval", args: (string | Buffer)[]];
type Reply = { readonly value: unknown } | { readonly error: unknown };

/** The number of keys scanned in one round trip, which takes about a millisecond of the server's time. */
const SCAN_COUNT = "1000";

/**
 * The store's access to Redis, by its own client or the user's. Each round trip has a timeout, ends with the caller's
 * signal and with `close`, and fails with a StoreError.
 *
 * `ioredis` queues commands while it has no connection, and sends them later. So no command is passed to it before it is
 * ready: a write that was reported as unavailable must not happen afterwards. A command in flight when the connection
 * breaks may have run or not, and a user's client may repeat it. So each script is safe to repeat, even late (see
 * `statements.ts`).
 */
export class Connection {
  readonly #client: RedisClient;
  readonly #own: Redis | undefined;
  readonly #where: string = "Redis";
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  readonly #grace = new RefusalGrace();
  #becomingReady: Promise<void> | undefined;

  constructor({ source, timeoutMs }: CheckedOptions) {
    this.#timeoutMs = timeoutMs;
    setMaxListeners(0, this.#closing.signal); // each call in flight listens
    if ("client" in source) {
      this.#client = source.client;
    } else {
      this.#client = this.#own = openOwn(source.connection, timeoutMs);
      this.#where = `Redis ${addressOf(this.#own)}`;
    }
  }

  /**
   * Runs a script for each of the calls: in one pipeline, or concurrently in a cluster, where a pipeline cannot cross
   * nodes. Returns the replies in the order of the calls.
   */
  run(script: Script, calls: readonly ScriptCall[], options?: CallOptions): Promise<unknown[]> {
    if (calls.length === 0) return Promise.resolve([]);
    return this.#call(options, async (ended) => {
      const command = (how: "evalsha" | "eval", { keys, args }: ScriptCall): Command => [
        how,
        [how === "eval" ? script.lua : script.sha, String(keys.length), ...keys, ...args],
      ];
      const replies = await this.#send(calls.map((call) => command("evalsha", call)));
      // EVAL reaches the node that has the keys, and caches the script there. SCRIPT LOAD might reach another node.
      const unknown = [...replies.keys()].filter((index) => isNoScript(errorOf(replies[index])));
      if (unknown.length > 0) {
        ended.throwIfAborted();
        const again = await this.#send(unknown.map((index) => command("eval", calls[index]!)));
        for (const [position, index] of unknown.entries()) replies[index] = again[position]!;
      }
      if (replies.some((reply) => isNotPrimary(errorOf(reply)))) this.#reconnect();
      const values = replies.map((reply, index) => {
        if (!("error" in reply)) return reply.value;
        const refused = deniedByScript(reply.error, script, calls[index]!.keys);
        throw toStoreError(reply.error, this.#where, refused);
      });
      // Only scripts count here. INFO and SCAN need no right to any key, so their replies prove nothing.
      this.#grace.answered();
      return values;
    });
  }

  /**
   * All matching keys, of every node of a cluster. The timeout applies to each round trip, of which a large database
   * takes many.
   */
  async scan(pattern: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const nodes = await this.#call({}, async () => this.#masters());
    for (const node of nodes) {
      let cursor = "0";
      do {
        const args = [cursor, "MATCH", pattern, "COUNT", SCAN_COUNT];
        const page = scanPageOf(await this.#call({}, () => node.call("scan", args)));
        for (const key of page.keys) found.add(key);
        cursor = page.cursor;
      } while (cursor !== "0");
    }
    return found;
  }

  /** A section of INFO, from every node of a cluster. */
  info(section: string, options?: CallOptions): Promise<readonly string[]> {
    return this.#call(options, async () => {
      const replies = this.#masters().map((node) => node.call("info", [section]));
      return (await Promise.all(replies)).map(String);
    });
  }

  /**
   * Calls `onMessage` for each message on the channel, until the signal aborts or the store is closed. It is also called
   * after each reconnection, because messages may have been missed.
   */
  async subscribe(channel: string, onMessage: () => void, signal: AbortSignal): Promise<void> {
    this.#closing.signal.throwIfAborted();
    const signals = [signal, this.#closing.signal];
    const over = new AbortController();
    const end = (): void => over.abort();
    for (const each of signals) each.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      await listen({
        channel,
        onMessage,
        signal: over.signal,
        silentMs: this.#timeoutMs,
        node: async () => {
          // In a cluster each node receives the messages published on any node.
          if (this.isCluster) await this.#whenReady();
          return sample(this.#masters());
        },
        isReplaceable: this.isCluster,
      });
    } catch (error) {
      if (over.signal.aborted) return;
      throw toStoreError(error, this.#where, deniedSubscription(channel));
    } finally {
      for (const each of signals) each.removeEventListener("abort", end);
    }
  }

  get isCluster(): boolean {
    return this.#client.isCluster === true;
  }

  /** Aborts with STORE_CLOSED when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Idempotent. Calls in flight reject with STORE_CLOSED. */
  close(): void {
    this.#closing.abort(new StoreError("STORE_CLOSED", `${this.#where}: the store was disposed`));
    this.#own?.disconnect();
  }

  #masters(): readonly RedisNode[] {
    return this.isCluster ? this.#client.nodes!("master") : [this.#client as RedisNode];
  }

  /**
   * Sends pipelines. In a cluster each has one command, so that its keys select the node. The driver's own
   * `enableAutoPipelining` would take the script for the key (ioredis 5).
   */
  async #send(commands: readonly Command[]): Promise<Reply[]> {
    if (!this.isCluster) return this.#pipe(commands);
    const replies = await Promise.all(commands.map((command) => this.#pipe([command])));
    return replies.flat();
  }

  async #pipe(commands: readonly Command[]): Promise<Reply[]> {
    // Arguments are passed as a list: a JavaScript call takes only some 100,000 arguments.
    const pipeline = this.#client.pipeline(commands.map(([name, args]) => [name, args]));
    const results = await pipeline
      .exec()
      .catch((error: unknown) => commands.map(() => [error, undefined] as const));
    return commands.map((_, index) => {
      const [error, value] = results?.[index] ?? [new Error("Command aborted by the driver")];
      return error === null ? { value } : { error };
    });
  }

  /**
   * One call, within its limits. `work` starts when the client is ready; `ended` aborts when the caller has stopped
   * waiting.
   */
  async #call<Answer>(
    { signal }: CallOptions = {},
    work: (ended: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const limit = new CallLimit({
      timeoutMs: this.#timeoutMs,
      onTimeout: () => new Error(`no answer, timed out after ${this.#timeoutMs} ms`),
      signals: [this.#closing.signal, signal],
    });
    const begin = async (): Promise<Answer> => {
      await this.#whenReady();
      limit.signal.throwIfAborted();
      return work(limit.signal);
    };
    try {
      return await limit.wait(begin());
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw error;
      throw this.#grace.weigh(toStoreError(error, this.#where));
    } finally {
      limit.stop();
    }
  }

  /**
   * Reconnects, because after a failover the address may lead to another server while the connection stays open to the
   * old one. A client that was passed in is not reconnected: that is up to its owner.
   */
  #reconnect(): void {
    if (this.#own?.status !== "ready" || this.#becomingReady !== undefined) return;
    this.#nextReady().catch(() => undefined); // the waiting calls get the reason
    this.#own.disconnect(true);
  }

  async #whenReady(): Promise<void> {
    if (this.#becomingReady === undefined && this.#client.status === "ready") return;
    if (this.#client.status === "end") {
      throw new StoreError(
        "STORE_CLOSED",
        `${this.#where}: its owner closed the client, or its retryStrategy stopped reconnecting`,
      );
    }
    await this.#nextReady();
  }

  #nextReady(): Promise<void> {
    this.#becomingReady ??= this.#nextChange().finally(() => (this.#becomingReady = undefined));
    return this.#becomingReady;
  }

  /** Resolves when the client is ready. Rejects with its next error, which says why there is no connection. */
  #nextChange(): Promise<void> {
    const client = this.#client;
    return new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => (): void => {
        for (const [event, listener] of listeners) client.off(event, listener);
        end();
      };
      const onError = (error: Error): void => settle(() => reject(error))();
      const onEnd = settle(() => reject(new Error("Connection is closed.")));
      const listeners = [
        ["ready", settle(resolve)],
        ["error", onError],
        ["end", onEnd],
      ] as const;
      for (const [event, listener] of listeners) client.on(event, listener);
      if (client.status === "wait") client.connect().catch(onError);
    });
  }
}

/**
 * A client whose connection answers in time or breaks: a silent connection is destroyed, the commands in flight fail
 * immediately, and none is sent a second time. It reconnects for ever, at most 1 s apart.
 */
function openOwn(connection: RedisConnection, timeoutMs: number): Redis {
  const options = {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disconnectTimeout: 100,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => Math.min(50 * attempt, 1000) * (0.5 + Math.random() / 2),
  } satisfies RedisOptions;
  const client =
    typeof connection === "string"
      ? new Redis(connection, options)
      : new Redis({ ...connection, ...options });
  // The calls that wait for the connection get the error. Without a listener, ioredis prints each error.
  client.on("error", () => undefined);
  return client;
}

function sample<Value>(values: readonly Value[]): Value | undefined {
  return values[Math.floor(Math.random() * values.length)];
}

function addressOf({ options }: Redis): string {
  const { sentinels, name, path, host, port } = options;
  if (!sentinels?.length) return `at ${path ?? `${host}:${port}`}`;
  const asked = sentinels.map((sentinel) => `${sentinel.host ?? host}:${sentinel.port ?? 26_379}`);
  return `primary ${name} of ${asked.join(", ")}`;
}

const errorOf = (reply: Reply | undefined): unknown =>
  reply && "error" in reply ? reply.error : undefined;
