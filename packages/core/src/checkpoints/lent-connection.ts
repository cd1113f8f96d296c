import { misused } from "./transaction-misuse.ts";

/**
 * A driver's connection for the work of a transaction, until it is taken back: then it is another caller's,
 * and a statement that the work did not await would go into that caller's transaction.
 * @param shardId whose transaction it is
 * @param kept methods that end the transaction or the connection: the store's to call
 * @param check called before each use @throws what the use throws then
 */
export function lend<Connection extends object>(
  shardId: string,
  connection: Connection,
  kept: readonly string[],
  check?: () => void,
): { readonly tx: Connection; readonly takeBack: () => void } {
  let isOver = false;
  const enter = (): void => {
    if (isOver) {
      throw misused(shardId, "the transaction is over: await every statement in the handler");
    }
    check?.();
  };
  const tx = new Proxy(connection, {
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
        return Reflect.apply(value, target, given);
      };
    },
  });
  return { tx, takeBack: () => (isOver = true) };
}
