import { KcError } from "@kc/core";
import type { Concurrency } from "./concurrency.ts";

/** So many failures with nothing in between say that the others would fail too. */
const FAILURES_IN_A_ROW = 4;

/** What became of each value. */
export interface Parallel<Value, Answer> {
  /** Those that did not fail and were not left out. */
  readonly answers: ReadonlyMap<Value, Answer>;
  /** Undefined = all have an answer. Of several the first that no retry mends, else the first. */
  readonly failure: { readonly error: unknown } | undefined;
}

/**
 * `work` on each value, some at once. It goes on past a failure: one item that fails must not starve
 * those behind it. It resolves when what was begun has ended.
 */
export async function inParallel<Value, Answer>(
  values: readonly Value[],
  concurrency: Concurrency,
  work: (value: Value) => Promise<Answer>,
): Promise<Parallel<Value, Answer>> {
  const answers = new Map<Value, Answer>();
  const failures: unknown[] = [];
  let inARow = 0;
  const one = async (value: Value): Promise<void> => {
    try {
      answers.set(value, await work(value));
      inARow = 0;
    } catch (error) {
      failures.push(error);
      inARow += 1;
    }
  };
  await new Promise<void>((resolve) => {
    const rest = values.values();
    let underWay = 0;
    const begin = (): void => {
      while (underWay < concurrency.limit && inARow < FAILURES_IN_A_ROW) {
        const { value, done } = rest.next();
        if (done === true) break;
        underWay += 1;
        void one(value).then(() => {
          underWay -= 1;
          begin();
        });
      }
      if (underWay === 0) resolve();
    };
    begin();
  });
  const lasting = failures.find((error) => !KcError.is(error) || !error.retryable);
  const failed = failures.length > 0;
  return { answers, failure: failed ? { error: lasting ?? failures[0] } : undefined };
}
