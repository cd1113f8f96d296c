/** Programs of a user, for the packed project. */

/** Prints how many names each package exports that is given as an argument. */
export const IMPORTS = `const counts = {};
for (const name of process.argv.slice(2)) counts[name] = Object.keys(await import(name)).length;
console.log(JSON.stringify(counts));
`;

/** The same by \`require\`. */
export const REQUIRES = `const counts = {};
for (const name of process.argv.slice(2)) counts[name] = Object.keys(require(name)).length;
console.log(JSON.stringify(counts));
`;

/**
 * Puts a record to an emulator by the SDK's client, reads it by that client and by the consumer's
 * own, keeps a checkpoint in a file whose path is the argument, and prints what it read.
 */
export const CONSUMER = `import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { startEmulator } from "@kc/emulator";
import { SqliteStore } from "@kc/store-sqlite";

const emulator = await startEmulator({ streams: { orders: 1 } });
process.env.AWS_ENDPOINT_URL_KINESIS = emulator.url;
process.env.AWS_REGION = "us-east-1";
process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = "any";
const client = new KinesisClient({});
for (const text of ["one", "two"]) {
  const Data = new TextEncoder().encode(text);
  await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
}
const store = new SqliteStore({ path: process.argv[2] ?? "" });
await store.setup();
for (const last of ["one", "two"]) {
  const consumer = new Consumer({ stream: "orders", application: "billing", store,
    ...(last === "one" ? { client } : {}), start: "TRIM_HORIZON" });
  const stopping = new AbortController();
  await consumer.scan(
    (record) => {
      console.log(record.text());
      if (record.text() === last) stopping.abort();
    },
    { signal: stopping.signal },
  );
}
await store[Symbol.asyncDispose]();
client.destroy();
await emulator.close();
`;

/** A test for Jest, as an ES module. */
export const JEST = `import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, MemoryStore } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";

test("a consumer reads a record", async () => {
  const client = new FakeKinesis({ streams: { orders: 1 } });
  const Data = new TextEncoder().encode("hello");
  await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
  const consumer = new Consumer({ stream: "orders", application: "billing", client,
    store: new MemoryStore(), start: "TRIM_HORIZON" });
  for await (const record of consumer.records()) {
    expect(record.text()).toBe("hello");
    break;
  }
});
`;

/** The same as a CommonJS module. */
export const JEST_REQUIRES: string = JEST.replaceAll(
  /^import (\{.*\}) from (".*");$/gm,
  "const $1 = require($2);",
);
