import { StoreError } from "@kc/core";
import type { PoolClient } from "pg";

/** What ends a transaction or a connection is the store's to call. */
const KEPT: ReadonlySet<PropertyKey> = new Set(["release", "end"]);

/**
 * A client for a handler, until `takeBack` is called: then another caller has the connection, and a query
 * that the handler did not await would go into that caller's transaction.
 */
export function lend(client: PoolClient): {
  readonly tx: PoolClient;
  readonly takeBack: () => void;
} {
  let isOver = false;
  const tx = new Proxy(client, {
    get(target, name) {
      if (isOver) throw refusal("the transaction is over: await every query in the handler");
      if (KEPT.has(name)) {
        return () => {
          throw refusal(`${String(name)}() is the store's to call: it ends the transaction`);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      // A method's `this` is the client itself: what it calls inside is not the handler's call.
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { tx, takeBack: () => (isOver = true) };
}

function refusal(message: string): StoreError {
  return new StoreError("TRANSACTION_MISUSED", `tx: ${message}`);
}
