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
  return joined([signal], (joint) => work({ signal: joint }));
}

/**
 * `work` with a signal that aborts with whichever of these does first. Nothing of it stays with a signal that
 * lives on: on Node 20, `AbortSignal.any` leaves some bytes for each call.
 */
export async function joined<Answer>(
  signals: readonly (AbortSignal | undefined)[],
  work: (joint: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  for (const signal of signals) signal?.throwIfAborted();
  const joint = new AbortController();
  setMaxListeners(0, joint.signal);
  const ends = signals.map((signal) => {
    const onAbort = (): void => joint.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    return () => signal?.removeEventListener("abort", onAbort);
  });
  try {
    return await work(joint.signal);
  } finally {
    for (const end of ends) end();
  }
}
