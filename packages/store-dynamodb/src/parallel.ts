import { KcError, type CallOptions } from "@kc/core";
import { relayed } from "@kc/core/adapter";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { isThrottle } from "./errors.ts";

/** After this many consecutive failures no further work is started: the rest would most likely fail too. */
const MAX_CONSECUTIVE_FAILURES = 4;

/** The results of `inParallel`. */
export interface Parallel<Value, Answer> {
  /** The answers of the values that did not fail and were not skipped. */
  readonly answers: ReadonlyMap<Value, Answer>;
  /** `undefined` if all values have an answer. Of several errors, the first that is not retryable, or else the first. */
  readonly failure: { readonly error: unknown } | undefined;
}

/**
 * Runs `work` on each value, several concurrently. It continues after a failure, so that a failing item does not starve
 * the later ones. A throttled value is tried again after the others. It resolves when all started work has ended. Each
 * call of `work` gets its own options, whose signal follows the caller's.
 */
export function inParallel<Value, Answer>(
  values: readonly Value[],
  concurrency: ConcurrencyLimit,
  options: CallOptions | undefined,
  work: (value: Value, own: CallOptions) => Promise<Answer>,
): Promise<Parallel<Value, Answer>> {
  return relayed(options, (own) => each(values, concurrency, (value) => work(value, own)));
}

async function each<Value, Answer>(
  values: readonly Value[],
  concurrency: ConcurrencyLimit,
  work: (value: Value) => Promise<Answer>,
): Promise<Parallel<Value, Answer>> {
  const answers = new Map<Value, Answer>();
  const failures = new Map<Value, unknown>();
  const queue = [...values];
  let consecutiveFailures = 0;
  const one = async (value: Value): Promise<void> => {
    try {
      answers.set(value, await work(value));
      failures.delete(value);
      consecutiveFailures = 0;
    } catch (error) {
      failures.set(value, error);
      consecutiveFailures += 1;
      if (isThrottled(error) && values.length > 1) queue.push(value);
    }
  };
  await new Promise<void>((resolve) => {
    let [next, inFlight] = [0, 0];
    const begin = (): void => {
      while (
        next < queue.length &&
        inFlight < concurrency.limit &&
        consecutiveFailures < MAX_CONSECUTIVE_FAILURES
      ) {
        inFlight += 1;
        void one(queue[next++]!).then(() => {
          inFlight -= 1;
          begin();
        });
      }
      if (inFlight === 0) resolve();
    };
    begin();
  });
  const errors = [...failures.values()];
  const lasting = errors.find((error) => !KcError.is(error) || !error.retryable);
  return {
    answers,
    failure: errors.length > 0 ? { error: lasting ?? errors[0] } : undefined,
  };
}

const isThrottled = (error: unknown): boolean => KcError.is(error) && isThrottle(error.cause);
