import { expect, test } from "vitest";
import { lend } from "../src/checkpoints/lent-connection.ts";

class Connection {
  readonly #statements: string[] = [];

  get statements(): readonly string[] {
    return this.#statements;
  }

  query(text: string): number {
    return this.#statements.push(text);
  }

  release(): void {}

  chained(text: string): this {
    this.query(text);
    return this;
  }
}

const MISUSED = expect.objectContaining({ code: "TRANSACTION_MISUSED", shardId: "shard" });

test("a method that was taken from the connection is of no use once the transaction is over", () => {
  const connection = new Connection();
  const { tx, takeBack } = lend("shard", connection, ["release"]);
  const query = tx.query.bind(tx);
  expect(query("one")).toBe(1);
  takeBack();
  expect(() => query("late")).toThrow(MISUSED);
  expect(() => tx.query("late")).toThrow(MISUSED);
  expect(connection.statements).toEqual(["one"]);
});

test("what ends the connection is not the work's to call, and its class is its own", () => {
  const { tx } = lend("shard", new Connection(), ["release"]);
  expect(() => tx.release()).toThrow(MISUSED);
  expect(tx.constructor).toBe(Connection);
});

test("what chained calls are made on is what was lent, not the connection itself", () => {
  const connection = new Connection();
  const { tx, takeBack } = lend("shard", connection, ["release"]);
  const chained = tx.chained("one").chained("two");
  expect(chained).toBe(tx);
  takeBack();
  expect(() => chained.query("late")).toThrow(MISUSED);
  expect(connection.statements).toEqual(["one", "two"]);
});
