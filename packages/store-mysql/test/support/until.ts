import { setTimeout as delay } from "node:timers/promises";

/** Asks again until the answer is true. After 60 s it fails with the last state that was seen. */
export async function until(
  what: string,
  look: () => Promise<{ readonly done: boolean; readonly state: unknown }>,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { done, state } = await look();
    if (done) return;
    if (performance.now() > deadline) {
      throw new Error(`not within 60 s: ${what}; last seen: ${JSON.stringify(state)}`);
    }
    await delay(5);
  }
}
