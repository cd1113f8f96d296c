import { expect, test } from "vitest";
import {
  Consumer,
  LeaseGroup,
  MemoryStore,
  MemoryTransaction,
  type LeaseStore,
  type Store,
  type StandardSchemaV1,
} from "../src/index.ts";

declare const anOrder: StandardSchemaV1<{ readonly order: number }>;
declare const plain: Store;
declare const leasing: LeaseStore;

/** What the compiler has to accept, and to refuse. Never called. */
export function typed(): void {
  const stream = { stream: "orders", application: "billing" };
  const consumer = new Consumer({ ...stream, store: new MemoryStore() });
  // The store says what `tx` is.
  void consumer.scanTransaction((records, { tx, shardId, attempt }) => {
    for (const record of records) tx.add(() => console.log(record.text(), shardId, attempt));
  });
  void consumer.scanTransaction((_records, { tx }) => tx satisfies MemoryTransaction, {});
  void consumer.scanTransaction(
    async ([record], { checkpoint }) => {
      const tx = new MemoryTransaction();
      tx.add(() => console.log(record?.value.order.toFixed()));
      await checkpoint(tx);
      tx.commit();
    },
    { transaction: "handler", decode: anOrder },
  );
  const leased = new Consumer({ ...stream, store: new MemoryStore(), group: new LeaseGroup() });
  void leased.scanTransaction((_records, { tx, fence }) => tx.add(() => console.log(fence?.epoch)));
  // A consumer of any store is a consumer.
  const any: Consumer = consumer;

  // @ts-expect-error the store has no transactions
  void any.scanTransaction(() => {});
  // @ts-expect-error the store has no transactions
  void new Consumer({ ...stream, store: plain }).scanTransaction(() => {});
  const group = new LeaseGroup();
  // @ts-expect-error the store has no transactions
  void new Consumer({ ...stream, store: leasing, group }).scanTransaction(() => {});
  // @ts-expect-error there is no store
  void new Consumer({ stream: "orders" }).scanTransaction(() => {});
  // @ts-expect-error the handler opens the transaction, so there is no tx
  void consumer.scanTransaction((_records, { tx }) => tx, { transaction: "handler" });
  // @ts-expect-error the store opens the transaction, so there is no checkpoint
  void consumer.scanTransaction((_records, { checkpoint }) => checkpoint);
  // @ts-expect-error a shard has one transaction at a time
  void consumer.scanTransaction(() => {}, { concurrency: 2 });
  // @ts-expect-error a group that leases needs a store with leases
  void new Consumer({ ...stream, store: plain, group });
}

test("the compiler knows which stores have transactions", () => {
  expect(typed).toBeTypeOf("function");
});
