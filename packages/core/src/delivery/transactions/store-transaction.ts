import { KcError } from "../../errors.ts";
import { isPromiseLike } from "../../handler.ts";
import { StoreLimit } from "./store-limit.ts";
import { checkAnswer, type TransactionsOf } from "./transaction.ts";

/**
 * Transactions that the store opens and commits, with the handler between. What the handler throws is its
 * failure, and so is what the database refuses of its work. A KcError of anybody else is the store's.
 */
export const storeTransaction: TransactionsOf = ({ shardId, timer }, { store, scope }, handler) => {
  return async (write, records, context) => {
    const { signal } = context;
    // Before the handler the store may wait for its turn, or for a connection, for as long as that takes.
    const limit = new StoreLimit(timer, signal);
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
    // Synchronous where the handler is: some stores take no other work.
    const work = (tx: unknown): void | Promise<void> => {
      limit.pause();
      let answer: unknown;
      try {
        answer = handler(records, { ...context, tx });
      } catch (error) {
        return fail(error, false);
      } finally {
        if (!isPromiseLike(answer)) limit.resume();
      }
      if (!isPromiseLike(answer)) return check(answer);
      return Promise.resolve(answer)
        .catch((error: unknown) => fail(error, false))
        .finally(() => limit.resume())
        .then(check);
    };
    try {
      return await limit.wait((over) => store.transact(scope, write, work, { signal: over }));
    } catch (error) {
      const isHandlers = thrown !== undefined && error === thrown.error && !thrown.isMisuse;
      if (!isHandlers && (KcError.is(error) || signal.aborted)) throw error;
      return { outcome: "failed", error };
    }
  };
};
