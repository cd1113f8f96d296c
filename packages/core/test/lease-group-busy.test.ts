import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import { expect, test } from "vitest";
import { Consumer, LeaseGroup, MemoryStore, MemoryStoreData } from "../src/index.ts";

const SCOPE = { application: "billing", streamName: "orders" };
const RECORDS = 3000;

function busy(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

/** On the machine's own clock: nothing but the event loop's turns lets heartbeats through. */
test("a sync handler that works for three times its lease keeps the lease", async () => {
  const client = new FakeKinesis({ quotas: false });
  await client.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 1 }));
  for (let n = 0; n < RECORDS; n += 500) {
    const Records = Array.from({ length: 500 }, (_, i) => ({
      PartitionKey: "a",
      Data: Buffer.from(String(n + i)),
    }));
    await client.send(new PutRecordsCommand({ StreamName: "orders", Records }));
  }
  const data = new MemoryStoreData();
  const stop = new AbortController();
  const group = new LeaseGroup({ workerId: "a", leaseMs: 1000 });
  let handled = 0;
  let leastRemainingMs = Infinity;
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    store: new MemoryStore({ data }),
    group,
    client,
    start: "TRIM_HORIZON",
  });
  await consumer.scan(
    () => {
      busy(1);
      handled += 1;
      leastRemainingMs = Math.min(leastRemainingMs, group.status().remainingMs);
      if (handled === RECORDS) stop.abort();
    },
    { signal: stop.signal },
  );
  expect(handled, "every record once: the shard was never lost").toBe(RECORDS);
  expect(leastRemainingMs, "of 900 ms, with a heartbeat each 100").toBeGreaterThan(0);
  expect(data.application(SCOPE).shards.get("shardId-000000000000")!.epoch).toBe(1);
});
