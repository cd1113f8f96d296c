import { getMaxListeners, setMaxListeners } from "node:events";

/**
 * Listens for the abort of a caller's signal, until the function that it returns is called. One
 * signal may stop any number of consumers, and Node takes more than ten listeners for a leak: each
 * of ours raises that limit by one while it listens. The caller's own listeners count as before.
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

/** Only Node's own signals have a limit. */
function changeLimit(signal: AbortSignal, by: number): void {
  if (!(signal instanceof EventTarget)) return;
  const limit = limitOf(signal);
  if (limit > 0) setMaxListeners(limit + by, signal);
}

/** 0 = there is no limit. */
function limitOf(signal: EventTarget): number {
  try {
    return getMaxListeners(signal);
  } catch {
    // Node 20 answers so to a limit of 0.
    return 0;
  }
}
