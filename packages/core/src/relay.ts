import { setMaxListeners } from "node:events";
import type { CallOptions } from "./checkpoints/store.ts";

/**
 * Runs `work` with one listener on the caller's signal, however many requests it makes: Node warns at the
 * eleventh. (On Node 20, AbortSignal.any drops an AbortSignal.timeout that has no other reference.)
 */
export async function relayed<Answer>(
  { signal }: CallOptions = {},
  work: (options: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  if (signal === undefined) return work({});
  return joined([signal], (joint) => work({ signal: joint }));
}

/**
 * Runs `work` with a signal that aborts as soon as one of these does. It leaves nothing on long-lived signals: on
 * Node 20, `AbortSignal.any` leaks some bytes for each call.
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
