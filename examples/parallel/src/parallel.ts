// Usage: node dist/parallel.js A handler that waits for a service gets several records of a shard
// concurrently, with each customer's orders in order. A customer whose bank is unavailable does not
// delay others. Runs on an embedded Kinesis.
import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";

const CUSTOMERS = ["ada", "bob", "cyd", "dan", "eve"];
const ORDERS_OF_EACH = 20;
const ORDERS = ORDERS_OF_EACH * CUSTOMERS.length;

const kinesis = new FakeKinesis({ streams: { orders: 1 } });
await kinesis.send(
  new PutRecordsCommand({
    StreamName: "orders",
    Records: Array.from({ length: ORDERS }, (_, i) => ({
      PartitionKey: CUSTOMERS[i % CUSTOMERS.length]!,
      Data: Buffer.from(`${1 + Math.floor(i / CUSTOMERS.length)}`),
    })),
  }),
);

/**
 * Handles all orders. @param isAway whether ada's bank is unavailable after this number of orders
 * is done
 */
async function run(concurrency: number, isAway: (done: number) => boolean): Promise<void> {
  const done: { readonly customer: string; readonly order: number }[] = [];
  let inHand = 0;
  let most = 0;
  const stop = new AbortController();
  const consumer = new Consumer({ stream: "orders", client: kinesis, start: "TRIM_HORIZON" });
  await consumer.scan(
    async (record) => {
      inHand += 1;
      most = Math.max(most, inHand);
      await sleep(5); // the bank
      inHand -= 1;
      const customer = record.partitionKey!;
      if (customer === "ada" && isAway(done.length)) throw new Error("the bank is away");
      done.push({ customer, order: Number(record.text()) });
      if (done.length === ORDERS) stop.abort();
    },
    {
      concurrency,
      retry: { maxAttempts: Infinity, minDelayMs: 20, maxDelayMs: 20 },
      signal: stop.signal,
    },
  );

  const isInOrder = CUSTOMERS.every((name) => {
    const orders = done.filter(({ customer }) => customer === name).map(({ order }) => order);
    return orders.every((order, i) => order === i + 1);
  });
  const beforeAda = done.findIndex(({ customer }) => customer === "ada");
  console.log(`concurrency ${concurrency}: at most ${most} at once`);
  console.log(`  each customer's orders in order: ${isInOrder}`);
  console.log(`  orders of others that were done before ada's first one: ${beforeAda}`);
}

await run(1, () => false);
await run(50, (done) => done < ORDERS - ORDERS_OF_EACH); // until the others' orders are done
