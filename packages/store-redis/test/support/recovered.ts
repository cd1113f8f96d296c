import { expect } from "vitest";
import { failure } from "./redis.ts";

/** Tries again until it is no passing failure: what the consumer's checkpointer does. */
export async function recovered<Answer>(
  call: () => Promise<Answer>,
  withinMs = 30_000,
): Promise<Answer> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { retryable, message } = await failure(Promise.reject(error));
      expect(retryable, message).toBe(true);
      expect(performance.now(), message).toBeLessThan(deadline);
      // What was refused at once is refused again until the driver has had its turn.
      await new Promise(setImmediate);
    }
  }
}
