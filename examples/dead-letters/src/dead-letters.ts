// Usage: node dist/dead-letters.js Records that the handler cannot handle become dead letters in a
// table, and the shard continues. Then the handler is "fixed", and the letters are handled again.
// Runs on an embedded Kinesis and a SQLite file.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer, type DeadLetter, type ReadableDeadLetterQueue } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { SqliteStore } from "@kc/store-sqlite";

const ORDERS = ["3 pizzas", "no pizzas", "1 pizza", "many pizzas", "2 pizzas"];

/** Orders that were handled, by the handler or by the redrive. */
const handled: string[] = [];

function handle(order: string): void {
  const [count = ""] = order.split(" ");
  if (!/^\d+$/.test(count)) throw new TypeError(`"${count}" is no number`);
  handled.push(order);
}

/** The handler after the fix. */
function handleFixed(order: string): void {
  handled.push(`${order}, by hand`);
}

/**
 * Handles a letter before removing it: if the process dies in between, the letter is handled again,
 * not lost.
 */
async function redrive(
  letters: ReadableDeadLetterQueue,
  again: (letter: DeadLetter) => void,
): Promise<void> {
  for (let more = true; more;) {
    const page = await letters.list({ application: "kitchen" });
    for (const letter of page.letters) {
      again(letter);
      await letters.remove([letter.id]);
    }
    more = page.next !== undefined;
  }
}

const directory = mkdtempSync(join(tmpdir(), "kc-dead-letters-"));
const kinesis = new FakeKinesis({ streams: { orders: 1 } });
await kinesis.send(
  new PutRecordsCommand({
    StreamName: "orders",
    Records: ORDERS.map((order) => ({ PartitionKey: "table-7", Data: Buffer.from(order) })),
  }),
);

const store = new SqliteStore({ path: join(directory, "kitchen.sqlite") });
await store.setup();
const letters = store.deadLetters();
await letters.setup();

const consumer = new Consumer({
  stream: "orders",
  application: "kitchen",
  store,
  client: kinesis,
  start: "TRIM_HORIZON",
});

const stop = new AbortController();
await consumer.scan(
  (record) => {
    const order = record.text();
    if (order === ORDERS.at(-1)) stop.abort(); // the last one
    handle(order);
  },
  {
    signal: stop.signal,
    retry: { maxAttempts: 3, minDelayMs: 10, maxDelayMs: 50 },
    onFailure: letters,
  },
);
console.log("handled:", handled.join("; "));

for (const { attempts, error, shardId } of (await letters.list()).letters) {
  console.log(
    `a letter from ${shardId}, after ${attempts} attempts: ${error.name}: ${error.message}`,
  );
}

await redrive(letters, ({ data }) => handleFixed(new TextDecoder().decode(data)));
console.log("handled:", handled.toSorted().join("; "));
console.log("letters left:", (await letters.list()).letters.length);

await letters.close();
await store.close();
rmSync(directory, { recursive: true });
