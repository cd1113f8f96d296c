import { Consumer } from "@kc/core";
import { RedisStore } from "@kc/store-redis";
import { Redis } from "ioredis";
import { totalsOf } from "./balances.ts";
import type { BalancesTable } from "./table.ts";

/** Hashes by account. In a cluster they would need the hash tag of the store's keys. */
const ORDERS = "balances:orders";
const CENTS = "balances:cents";

export async function openRedis(): Promise<BalancesTable> {
  const connection = process.env["REDIS_URL"] ?? "redis://localhost:6379";
  const store = new RedisStore({ connection });
  const redis = new Redis(connection);
  return {
    // Redis does not roll a script back. No other program writes these hashes, so HINCRBY cannot
    // fail.
    project: (reading, batches) =>
      new Consumer({ ...reading, store }).scanTransaction((records, { tx }) => {
        for (const [account, { orders, cents }] of totalsOf(records)) {
          tx.command("HINCRBY", ORDERS, account, orders);
          tx.command("HINCRBY", CENTS, account, cents);
        }
      }, batches),
    read: async () => {
      // Read in one transaction: otherwise a batch between two commands would be partly visible.
      const answers = await redis.multi().hgetall(ORDERS).hgetall(CENTS).exec();
      const [orders, cents] = (answers ?? []).map(([, hash]) => hash as Record<string, string>);
      return new Map(
        Object.entries(orders ?? {}).map(([account, count]) => [
          account,
          { orders: Number(count), cents: Number(cents?.[account]) },
        ]),
      );
    },
    close: async () => {
      await store.close();
      await redis.quit();
    },
  };
}
