import {
  DeadLetterError,
  MemoryDeadLetterQueue,
  type DeadLetter,
  type DeadLetterQueue,
} from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { Ledger } from "./ledger.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Weather } from "./store-link.ts";

export interface LetterLinkOptions {
  readonly workerId: string;
  /** The letters of all workers. */
  readonly letters: Map<string, DeadLetter>;
  readonly clock: FakeClock;
  readonly process: Process;
  readonly deliveryRandom: Random;
  readonly weather: Weather;
  readonly ledger: Ledger;
  readonly onViolation: (error: Error) => void;
}

/** The fraction of calls with a fault. */
const TROUBLE = 0.1;

const OUTAGE = (): DeadLetterError =>
  new DeadLetterError("DEAD_LETTERS_UNAVAILABLE", "the simulated network", { retryable: true });

/**
 * One process's link to the dead-letter queue: calls are slow, fail before or after they took
 * effect, or get no answer.
 */
export function letterLink(options: LetterLinkOptions): DeadLetterQueue {
  const {
    workerId,
    letters: data,
    clock,
    process,
    deliveryRandom: random,
    weather,
    ledger,
  } = options;
  const queue = new MemoryDeadLetterQueue({ data });
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(resolve, ms));
  const call = async (letters: readonly DeadLetter[]): Promise<void> => {
    const effect = async (): Promise<void> => {
      await queue.send(letters, { signal: new AbortController().signal });
      try {
        ledger.lettersHeld(letters);
      } catch (error) {
        options.onViolation(error as Error);
      }
    };
    await wait(random.between(1, 20));
    if (weather.lettersAway) throw OUTAGE();
    if (!random.chance(TROUBLE)) return effect();
    switch (random.between(1, 4)) {
      case 1:
        throw OUTAGE();
      case 2:
        await effect();
        throw OUTAGE();
      case 3: // Possibly so late that the caller has timed out.
        await wait(random.between(1000, 40_000));
        return effect();
      default:
        await effect();
        return new Promise(() => {});
    }
  };
  return {
    async send(letters, { signal }) {
      await process.through(call(letters.map((letter) => ({ ...letter }))));
      signal.throwIfAborted();
      ledger.lettersAcknowledged(workerId, letters);
    },
    close: async () => {},
  };
}
