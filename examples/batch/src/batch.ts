// Usage: node dist/batch.js Writes orders to a table in bulk. One order violates a constraint of
// the table, so its whole batch is refused; the consumer bisects the batch until that order is
// alone. Runs on an embedded Kinesis.
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer, MemoryDeadLetterQueue } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";

interface Order {
  readonly id: number;
  readonly pizzas: number;
}

const ORDERS: readonly Order[] = Array.from({ length: 60 }, (_, i) => ({
  id: i + 1,
  pizzas: i === 36 ? -1 : 1 + (i % 3),
}));

/** A table that accepts all rows of a statement, or none. */
const table: Order[] = [];
async function insert(rows: readonly Order[]): Promise<void> {
  const refused = rows.some(({ pizzas }) => pizzas < 0);
  const range = `${rows[0]!.id} to ${rows.at(-1)!.id}`;
  console.log(`insert orders ${range}: ${refused ? "refused" : "written"}`);
  if (refused) throw new RangeError("a row breaks the rule pizzas >= 0");
  table.push(...rows);
}

const kinesis = new FakeKinesis({ streams: { orders: 1 } });
await kinesis.send(
  new PutRecordsCommand({
    StreamName: "orders",
    Records: ORDERS.map((order) => ({
      PartitionKey: `customer-${order.id % 7}`,
      Data: Buffer.from(JSON.stringify(order)),
    })),
  }),
);

const letters = new MemoryDeadLetterQueue();
const consumer = new Consumer({
  stream: "orders",
  application: "kitchen",
  client: kinesis,
  start: "TRIM_HORIZON",
});

const stop = new AbortController();
await consumer.scanBatch<Order>(
  async (records) => {
    await insert(records.map(({ value }) => value));
    if (table.length === ORDERS.length - 1) stop.abort(); // all except the refused one
  },
  {
    decode: (record) => record.json<Order>(),
    maxRecords: 25,
    maxWaitMs: 100,
    bisect: true,
    onFailure: letters,
    signal: stop.signal,
  },
);

console.log(`rows: ${table.length}`);
const isInOrder = table.every(({ id }, i) => i === 0 || table[i - 1]!.id < id);
console.log(`in the order of the shard: ${isInOrder}`);
for (const { data, error } of (await letters.list()).letters) {
  console.log(`a letter: ${new TextDecoder().decode(data)}, ${error.message}`);
}
