import { setTimeout as delay } from "node:timers/promises";
import type { RedisNode, RedisSubscriber } from "./driver.ts";
import { toStoreError } from "./errors.ts";

const RETRY_MS = 1000;

export interface ListenOptions {
  readonly channel: string;
  readonly onMessage: () => void;
  /** Ends the subscription. */
  readonly signal: AbortSignal;
  /** The interval of PING in milliseconds, and the timeout of its answer. */
  readonly silentMs: number;
  /** The node to connect to; `undefined` if none is known now. */
  readonly node: () => Promise<RedisNode | undefined>;
  /** True if a broken connection is replaced by one to another node; otherwise the driver reconnects. */
  readonly isReplaceable: boolean;
}

/**
 * Subscribes to a channel on a dedicated connection, and reconnects until the signal aborts. A silent connection is
 * destroyed: a subscriber that expects no message would not notice that its server is gone.
 * @throws non-retryable errors: a missing right, a closed client
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { signal, node } = options;
  while (!signal.aborted) {
    try {
      const chosen = await node();
      if (chosen !== undefined) await listenOn(connect(chosen, options), options);
    } catch (error) {
      if (!toStoreError(error, "").retryable) throw error;
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined); // ends the loop
  }
}

function connect(node: RedisNode, { silentMs, isReplaceable }: ListenOptions): RedisSubscriber {
  return node.duplicate({
    lazyConnect: false,
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    autoResubscribe: false, // `listenOn` subscribes itself, to learn whether it succeeded
    socketTimeout: silentMs,
    retryStrategy: isReplaceable ? null : (attempt: number) => Math.min(50 * attempt, 1000),
  });
}

/** Listens until the connection has ended for good, or the signal aborts. @throws if the subscription is refused */
async function listenOn(subscriber: RedisSubscriber, options: ListenOptions): Promise<void> {
  const { channel, onMessage, signal, silentMs } = options;
  subscriber.on("error", () => undefined);
  subscriber.on("message", onMessage);
  const ping = setInterval(() => {
    // Its answer keeps the connection alive; without one, the socket's timeout ends it.
    if (subscriber.status === "ready") subscriber.ping().catch(() => undefined);
  }, silentMs);
  let onAbort: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = resolve;
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) resolve();
      subscriber.on("end", resolve);
      // Messages published before the server's answer are missed, so the hint follows the answer.
      subscriber.on("ready", () => void subscriber.subscribe(channel).then(onMessage, reject));
    });
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearInterval(ping);
    subscriber.disconnect();
  }
}
