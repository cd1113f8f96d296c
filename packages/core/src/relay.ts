import { setMaxListeners } from "node:events";
import type { CallOptions } from "./checkpoints/store.ts";

/**
 * One listener on the caller's signal, however many requests `work` makes: Node warns of the
 * eleventh. (On Node 20, AbortSignal.any forgets an AbortSignal.timeout that nobody else holds.)
 */
export async function relayed<Answer>(
  { signal }: CallOptions = {},
  work: (options: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  if (signal === undefined) return work({});
  signal.throwIfAborted();
  const relay = new AbortController();
  setMaxListeners(0, relay.signal);
  const onAbort = (): void => relay.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work({ signal: relay.signal });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
