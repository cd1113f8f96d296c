import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";
import { Consumer, MemoryStore, MemoryStoreData, systemClock } from "../src/index.ts";

const HOUR = 3_600_000;

test("the start is recorded by the service's clock, not by this machine's", async () => {
  const serviceClock = { ...systemClock, now: () => Date.now() - 3 * HOUR };
  const emulator = await startEmulator({ clock: serviceClock, streams: { orders: 1 } });
  onTestFinished(() => emulator.close());
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  onTestFinished(() => client.destroy());
  const Data = Buffer.from("1");
  await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));

  const data = new MemoryStoreData();
  const earliest = serviceClock.now();
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    store: new MemoryStore({ data }),
    start: "TRIM_HORIZON",
    client,
  });
  const stop = new AbortController();
  await consumer.scan(() => stop.abort(), { signal: stop.signal });

  const { row } = data.application({ application: "billing", streamName: "orders" });
  const recorded = row!.startedAt.getTime() + 5000;
  // The Date header tells whole seconds.
  expect(recorded).toBeGreaterThanOrEqual(earliest - 1000);
  expect(recorded).toBeLessThanOrEqual(serviceClock.now());
});
