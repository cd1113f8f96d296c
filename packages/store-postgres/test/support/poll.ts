import { setTimeout as delay } from "node:timers/promises";

/** Asks until the answer is right; at the deadline the error holds the last answer. */
export async function eventually<Answer>(
  what: string,
  ask: () => Promise<Answer> | Answer,
  isRight: (answer: Answer) => boolean,
): Promise<Answer> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within 30 s; the last answer: ${JSON.stringify(answer)}`);
    }
    await delay(10);
  }
}
