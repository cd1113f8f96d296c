import { StoreError } from "../errors.ts";

/**
 * A driver's connection for the work of a transaction, until it is taken back: then it is another caller's,
 * and a statement that the work did not await would go into that caller's transaction.
 * @param kept methods that end the transaction or the connection: the store's to call
 */
export function lend<Connection extends object>(
  connection: Connection,
  kept: readonly string[],
): { readonly tx: Connection; readonly takeBack: () => void } {
  let isOver = false;
  const tx = new Proxy(connection, {
    get(target, name) {
      if (isOver) throw misuse("the transaction is over: await every statement in the handler");
      if (kept.includes(String(name))) {
        return () => {
          throw misuse(`${String(name)}() is the store's to call: it ends the transaction`);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      // A method's `this` is the connection itself: what it calls inside is not the work's call.
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { tx, takeBack: () => (isOver = true) };
}

function misuse(message: string): StoreError {
  return new StoreError("TRANSACTION_MISUSED", `tx: ${message}`);
}
