import { KcError, type CallOptions } from "@kc/core";
import { relayed } from "@kc/core/adapter";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { isThrottle } from "./errors.ts";

/** So many failures with nothing in between say that the others would fail too. */
const MAX_CONSECUTIVE_FAILURES = 4;

/** What became of each value. */
export interface Parallel<Value, Answer> {
  /** Those that did not fail and were not left out. */
  readonly answers: ReadonlyMap<Value, Answer>;
  /** Undefined = all have an answer. Of several errors, the first that a retry does not help with, else the first. */
  readonly failure: { readonly error: unknown } | undefined;
}

/**
 * `work` on each value, some at once. It goes on past a failure: one item that fails must not starve
 * those behind it. One that was throttled gets another turn after the others. It resolves when what was begun
 * has ended. Each gets options of its own, which follow the caller's signal.
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
