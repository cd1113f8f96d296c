import { misused } from "./transaction-misuse.ts";

/**
 * Lends a driver's connection to the work of a transaction. After `takeBack` every use throws: the
 * connection belongs to another caller then, and a statement that the work did not await would run in that
 * caller's transaction.
 * @param shardId the shard whose transaction it is
 * @param kept methods that only the store may call, since they end the transaction or the connection
 * @param hooks `check` is called before each use, which throws what `check` throws; `made` returns what the
 * work gets in place of a method's result
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
  let hasEnded = false;
  const enter = (): void => {
    if (hasEnded) {
      throw misused(shardId, "the transaction has ended: await every statement in the handler");
    }
    check?.();
  };
  const tx: Connection = new Proxy(connection, {
    get(target, name) {
      enter();
      if (kept.includes(String(name))) {
        return () => {
          const why = `only the store may call ${String(name)}(): it ends the transaction`;
          throw misused(shardId, why);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function" || name === "constructor") return value;
      // A method's `this` is the connection itself, since its internal calls are not the work's. A method
      // that the work keeps is checked at each call, like one that it gets again.
      return (...given: unknown[]): unknown => {
        enter();
        const answer: unknown = Reflect.apply(value, target, given);
        // For a fluent method: the work must not get the connection itself.
        if (answer === target) return tx;
        return made === undefined ? answer : made(answer, name);
      };
    },
  });
  return { tx, takeBack: () => (hasEnded = true) };
}
