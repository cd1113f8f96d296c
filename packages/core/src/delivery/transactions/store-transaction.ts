import { KcError } from "../../errors.ts";
import { isPromiseLike } from "../../handler.ts";
import { StoreTimeout } from "./store-timeout.ts";
import { checkAnswer, type TransactionRunnerFactory } from "./transaction.ts";

/**
 * Runs the handler in a transaction that the store opens and commits. What the handler throws is its own
 * failure, and so is an error of the database about the handler's writes. Any other KcError is a failure of
 * the store.
 */
export const storeTransaction: TransactionRunnerFactory = (
  { shardId, timer },
  { store, scope },
  handler,
) => {
  return async (write, records, context) => {
    const { signal } = context;
    // The timeout starts only after the handler: before it the store may wait for its turn or a connection.
    const timeout = new StoreTimeout(timer, signal);
    let thrown: { readonly error: unknown; readonly isMisuse: boolean } | undefined;
    const fail = (error: unknown, isMisuse: boolean): never => {
      thrown = { error, isMisuse };
      throw error;
    };
    const check = (answer: unknown): void => {
      try {
        checkAnswer(shardId, answer);
      } catch (error) {
        fail(error, true);
      }
    };
    // Synchronous if the handler is: some stores accept only synchronous work.
    const work = (tx: unknown): void | Promise<void> => {
      timeout.pause();
      let answer: unknown;
      try {
        answer = handler(records, { ...context, tx });
      } catch (error) {
        return fail(error, false);
      } finally {
        if (!isPromiseLike(answer)) timeout.resume();
      }
      if (!isPromiseLike(answer)) return check(answer);
      return Promise.resolve(answer)
        .catch((error: unknown) => fail(error, false))
        .finally(() => timeout.resume())
        .then(check);
    };
    try {
      return await timeout.wait((ended) => store.transact(scope, write, work, { signal: ended }));
    } catch (error) {
      const isHandlerError = thrown !== undefined && error === thrown.error && !thrown.isMisuse;
      if (!isHandlerError && (KcError.is(error) || signal.aborted)) throw error;
      return { outcome: "failed", error };
    }
  };
};
