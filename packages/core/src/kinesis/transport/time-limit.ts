const LATE_MS = 100;

/**
 * Calls back once, after so long. A process that stood still meanwhile gets the time again: what came in
 * time is here, and nobody has read it, since timers come before sockets.
 * @returns cancels it
 */
export function limitTime(ms: number, end: () => void): () => void {
  const due = performance.now() + ms;
  let timer = setTimeout(() => {
    if (performance.now() - due > LATE_MS) timer = setTimeout(end, ms);
    else end();
  }, ms);
  return () => clearTimeout(timer);
}
