import { setTimeout as sleep } from "node:timers/promises";

const DEADLINE_MS = 120_000;
/** Between two looks; a look at a server that is still starting costs nothing but noise. */
const PAUSE_MS = 5;

export type Look<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly state: unknown };

/** Looks again and again until it is done; past the deadline, rejects with the last state seen. */
export async function until<T>(what: string, look: () => Promise<Look<T>>): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen.done) return seen.value;
    if (performance.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS} ms: ${what}; last seen: ${show(seen.state)}`);
    }
    await sleep(PAUSE_MS);
  }
}

/** Until the wall clock is past an instant (milliseconds since the epoch). */
export async function untilAfter(instant: number): Promise<void> {
  await until(`it is past ${new Date(instant).toISOString()}`, async () => {
    const state = Date.now();
    return state > instant ? { done: true, value: undefined } : { done: false, state };
  });
}

function show(state: unknown): string {
  return state instanceof Error ? `${state.name}: ${state.message}` : JSON.stringify(state);
}
