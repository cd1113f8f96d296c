import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";
import { Consumer, MemoryStore, MemoryStoreData, systemClock } from "../src/index.ts";
import { until } from "./support/until.ts";

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

test("a wall clock that is set while the application is opened does not move its start", async () => {
  let setBy = 0;
  const clock = { ...systemClock, now: () => Date.now() + setBy };
  const emulator = await startEmulator({ streams: { orders: 1 } });
  onTestFinished(() => emulator.close());
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  onTestFinished(() => client.destroy());
  const data = new MemoryStoreData();
  class LateStore extends MemoryStore {
    override async getCheckpoints(
      ...call: Parameters<MemoryStore["getCheckpoints"]>
    ): ReturnType<MemoryStore["getCheckpoints"]> {
      setBy = HOUR;
      return super.getCheckpoints(...call);
    }
  }
  const store = new LateStore({ data });
  const consumer = new Consumer({ stream: "orders", application: "billing", store, client, clock });
  const stop = new AbortController();
  const scan = consumer.scan(() => {}, { signal: stop.signal });
  await until(() => emulator.kinesis.countOf("GetRecords") > 0);
  stop.abort();
  await scan;

  const { row } = data.application({ application: "billing", streamName: "orders" });
  expect(row!.startedAt.getTime()).toBeLessThanOrEqual(Date.now());
});

test("an idle shard without records is not read again from the first start when its iterator is lost", async () => {
  let later = 0;
  const clock = {
    ...systemClock,
    now: () => Date.now() + later,
    monotonic: () => performance.now() + later,
  };
  const emulator = await startEmulator({ clock, streams: { orders: 1 } });
  onTestFinished(() => emulator.close());
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    // The SDK takes any error for a matter of clocks that differ.
    maxAttempts: 1,
  });
  onTestFinished(() => client.destroy());
  const began = Date.now();
  const consumer = new Consumer({ stream: "orders", client });
  const stop = new AbortController();
  const texts: string[] = [];
  const scan = consumer.scan((record) => void texts.push(record.text()), { signal: stop.signal });
  const iterators = (): number[] =>
    emulator.kinesis.calls
      .filter(({ operation }) => operation === "GetShardIterator")
      .map(({ input }) => 1000 * Number(input["Timestamp"] ?? 0));
  const polls = (): number => emulator.kinesis.countOf("GetRecords");
  await until(() => polls() > 1);
  // Its iterator expires, and the next one shows that an hour was empty.
  later = HOUR;
  await until(() => iterators().length === 2);
  const empty = polls();
  await until(() => polls() > empty + 1);
  emulator.kinesis.faults.fail({ operation: "GetRecords", error: "ExpiredIteratorException" });
  await until(() => iterators().length === 3);
  const Data = Buffer.from("1");
  await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
  await until(() => texts.length > 0);
  stop.abort();
  await scan;

  expect(texts).toEqual(["1"]);
  const [, atFirst, again] = iterators();
  expect(atFirst).toBeLessThan(began + HOUR / 2);
  // Less five minutes: clocks differ.
  expect(again).toBeGreaterThan(began + HOUR - 6 * 60_000);
  expect(again).toBeLessThan(began + HOUR - 4 * 60_000);
});
