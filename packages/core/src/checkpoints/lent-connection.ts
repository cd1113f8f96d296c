import { misused } from "./transaction-misuse.ts";

/**
 * A driver's connection for the work of a transaction, until it is taken back: then it is another caller's,
 * and a statement that the work did not await would go into that caller's transaction.
 * @param shardId whose transaction it is
 * @param kept methods that end the transaction or the connection: the store's to call
 * @param hooks `check` is called before each use, and the use throws what it throws; `made` says what the
 * work gets of what a method has answered
 */
export function lend<Connection extends object>(
  shardId: string,
  connection: Connection,
  kept: readonly string[],
  hooks: {
    readonly check?: () => void;
    readonly made?: (answer: unknown, method: string | symbol) => unknown;
  } = {},
): { readonly tx: Connection; readonly takeBack: () => void } {
  const { check, made } = hooks;
  let isOver = false;
  const enter = (): void => {
    if (isOver) {
      throw misused(shardId, "the transaction is over: await every statement in the handler");
    }
    check?.();
  };
  const tx: Connection = new Proxy(connection, {
    get(target, name) {
      enter();
      if (kept.includes(String(name))) {
        return () => {
          const why = `${String(name)}() is the store's to call: it ends the transaction`;
          throw misused(shardId, why);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function" || name === "constructor") return value;
      // A method's `this` is the connection itself: what it calls inside is not the work's call. Whoever
      // keeps the method calls it no later than one that is asked for again.
      return (...given: unknown[]): unknown => {
        enter();
        const answer: unknown = Reflect.apply(value, target, given);
        // By a chained call the work would have the connection itself.
        if (answer === target) return tx;
        return made === undefined ? answer : made(answer, name);
      };
    },
  });
  return { tx, takeBack: () => (isOver = true) };
}
