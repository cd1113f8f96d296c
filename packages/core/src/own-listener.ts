import { getMaxListeners, setMaxListeners } from "node:events";

/**
 * Listens for the abort of a caller's signal; the returned function removes the listener. One signal may stop any
 * number of consumers, but Node warns of a leak above ten listeners, so each listener of ours raises that limit by
 * one. The caller's own listeners count as before.
 */
export function listenTo(signal: AbortSignal, onAbort: () => void): () => void {
  changeLimit(signal, 1);
  signal.addEventListener("abort", onAbort, { once: true });
  let listens = true;
  return () => {
    if (!listens) return;
    listens = false;
    signal.removeEventListener("abort", onAbort);
    changeLimit(signal, -1);
  };
}

/** Only signals of Node's own class have a limit. */
function changeLimit(signal: AbortSignal, by: number): void {
  if (!(signal instanceof EventTarget)) return;
  const limit = limitOf(signal);
  if (limit > 0) setMaxListeners(limit + by, signal);
}

/** The maximum number of listeners; 0 = no limit. */
function limitOf(signal: EventTarget): number {
  try {
    return getMaxListeners(signal);
  } catch {
    // Node 20 throws if the limit is 0.
    return 0;
  }
}
