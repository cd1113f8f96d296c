import { Consumer } from "@kc/core";
import { SqliteStore } from "@kc/store-sqlite";

const store = new SqliteStore({ path: "/var/lib/billing/checkpoints.db" });
const consumer = new Consumer({ stream: "orders", application: "billing", store });

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

await consumer.scan(
  async (record) => {
    console.log(record.shardId, record.partitionKey, record.text());
  },
  { signal: stop.signal },
);
await store.close();
