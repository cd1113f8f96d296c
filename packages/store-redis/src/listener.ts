import { setTimeout as delay } from "node:timers/promises";
import type { RedisNode, RedisSubscriber } from "./driver.ts";
import { toStoreError } from "./errors.ts";

const RETRY_MS = 1000;

export interface ListenOptions {
  readonly channel: string;
  readonly onMessage: () => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** The interval of PING in milliseconds. The answer must come within the same time. */
  readonly silentMs: number;
  /** Whose connection options to use; undefined = none is known now. */
  readonly node: () => Promise<RedisNode | undefined>;
  /** A connection that breaks is made to another node. Otherwise the driver makes it again. */
  readonly isReplaceable: boolean;
}

/**
 * Hears a channel on a connection of its own, which is made again for as long as it takes. A silent one is
 * destroyed: otherwise a subscriber, to which no message may be due, would not learn that its server is gone.
 * @throws what a retry does not help with: rights that are missing, a client that was closed
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
    autoResubscribe: false, // `listenOn` does, and learns when it is done or refused
    socketTimeout: silentMs,
    retryStrategy: isReplaceable ? null : (attempt: number) => Math.min(50 * attempt, 1000),
  });
}

/** Until the connection has ended for good, or the signal aborts. @throws if it is refused */
async function listenOn(subscriber: RedisSubscriber, options: ListenOptions): Promise<void> {
  const { channel, onMessage, signal, silentMs } = options;
  subscriber.on("error", () => undefined);
  subscriber.on("message", onMessage);
  const ping = setInterval(() => {
    // Its answer is what keeps the connection; a failure ends it.
    if (subscriber.status === "ready") subscriber.ping().catch(() => undefined);
  }, silentMs);
  let onAbort: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = resolve;
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) resolve();
      subscriber.on("end", resolve);
      // What was published before the server answers was missed: the hint comes after the answer.
      subscriber.on("ready", () => void subscriber.subscribe(channel).then(onMessage, reject));
    });
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearInterval(ping);
    subscriber.disconnect();
  }
}
