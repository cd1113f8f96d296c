/** A timer that fires this much too late shows that the process was frozen. */
const FROZEN_MS = 100;

/**
 * Calls `onTimeout` once, after `ms` milliseconds. If the process was frozen in the meantime, the timeout
 * starts over: data may have arrived in time and not been read, because timers run before sockets.
 * @returns a function that cancels the timeout
 */
export function startTimeout(ms: number, onTimeout: () => void): () => void {
  const due = performance.now() + ms;
  let timer = setTimeout(() => {
    if (performance.now() - due > FROZEN_MS) timer = setTimeout(onTimeout, ms);
    else onTimeout();
  }, ms);
  return () => clearTimeout(timer);
}
