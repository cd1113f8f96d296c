import { aggregate } from "@kc/aggregator";
import {
  MemoryDeadLetterQueue,
  NonRetriableError,
  RetryAfterError,
  SkipCheckpoint,
  type ConsumerRecord,
  type Handler,
} from "@kc/core";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { toLambdaHandler } from "../src/index.ts";
import {
  eventOf,
  failuresAt,
  lines,
  numberOf,
  SHARD,
  STREAM_ARN,
  texts,
} from "./support/events.ts";

/** A handler that fails at these texts, and keeps what it was called with. */
function failing(...failingTexts: readonly string[]) {
  const calls: string[] = [];
  const handler: Handler = async (record, { attempt }) => {
    calls.push(`${record.text()}:${attempt}`);
    if (failingTexts.includes(record.text())) throw new Error("no");
  };
  return { calls, handler };
}

const { logger } = lines();

test("records come as a consumer's: bytes, arrival to the millisecond, shard, key, in order", async () => {
  const given: ConsumerRecord[] = [];
  const lambda = toLambdaHandler((record) => void given.push(record));
  const arrivedAt = 1_767_225_599.123;
  const event = eventOf([
    { key: "ada", data: Uint8Array.of(0, 255, 128), arrivedAt },
    { key: "ünï", data: '{"order":7}', arrivedAt },
  ]);
  expect(await lambda(event)).toEqual({ batchItemFailures: [] });
  const [one, other] = given;
  expect(one).toMatchObject({
    data: Uint8Array.of(0, 255, 128),
    partitionKey: "ada",
    sequenceNumber: numberOf(0),
    subSequenceNumber: undefined,
    aggregated: false,
    shardId: SHARD,
    approximateArrivalTimestamp: new Date("2025-12-31T23:59:59.123Z"),
    encryptionType: undefined,
    value: undefined,
  });
  expect(one!.data.constructor).toBe(Uint8Array);
  expect(one!.data.buffer.byteLength).toBe(3);
  expect(other).toMatchObject({ partitionKey: "ünï", sequenceNumber: numberOf(1) });
  expect(other!.json()).toEqual({ order: 7 });
});

test("millisBehindLatest is the age of the event's newest record", async () => {
  const clock = new FakeClock();
  let behind: number | undefined;
  const lambda = toLambdaHandler((record) => void (behind = record.millisBehindLatest), { clock });
  await clock.advance(2500);
  await lambda(eventOf(texts("a", "b")));
  expect(behind).toBe(2500);
});

test("the first failed record is reported, and nothing is started behind it", async () => {
  const { calls, handler } = failing("c");
  const lambda = toLambdaHandler(handler, { logger });
  expect(await lambda(eventOf(texts("a", "b", "c", "d")))).toEqual(failuresAt(2));
  expect(calls).toEqual(["a:1", "b:1", "c:1"]);
});

test("a failure is logged by its type, without the handler's message", async () => {
  const { lines: kept, logger: own } = lines();
  const fields: unknown[] = [];
  own.error = (message, given) => {
    kept.push(message);
    fields.push(given);
  };
  const lambda = toLambdaHandler(
    () => {
      throw new RangeError("secret of the record");
    },
    { logger: own, application: "billing" },
  );
  expect(await lambda(eventOf(texts("a")))).toEqual(failuresAt(0));
  expect(kept).toEqual(["the delivery of a shard's records ends with an error"]);
  expect(fields[0]).toMatchObject({ stream: "orders", application: "billing", shardId: SHARD });
  expect(JSON.stringify(fields[0])).toContain(`the handler failed at ${numberOf(0)}: RangeError`);
  expect(JSON.stringify(fields[0])).not.toContain("secret");
});

test("a failed record is tried again within the invocation, and attempts begin anew in the next", async () => {
  const clock = new FakeClock();
  const { calls, handler } = failing("b");
  const retry = { maxAttempts: 2, minDelayMs: 1000, factor: 1 };
  const lambda = toLambdaHandler(handler, { clock, logger, retry });
  const first = lambda(eventOf(texts("a", "b")));
  await clock.advance(1000);
  expect(await first).toEqual(failuresAt(1));
  const second = lambda(eventOf(texts("b"), 1));
  await clock.advance(1000);
  expect(await second).toEqual(failuresAt(1));
  expect(calls).toEqual(["a:1", "b:1", "b:2", "b:1", "b:2"]);
});

test("NonRetriableError and RetryAfterError decide as in a scan", async () => {
  const clock = new FakeClock();
  const at: string[] = [];
  const lambda = toLambdaHandler(
    async (record, { attempt }) => {
      at.push(`${record.text()}:${attempt} at ${clock.monotonic()}`);
      if (record.text() === "a" && attempt === 1) throw new RetryAfterError(7000);
      if (record.text() === "b") throw new NonRetriableError("never");
    },
    { clock, logger, retry: { maxAttempts: 5 }, onFailure: "skip" },
  );
  const answer = lambda(eventOf(texts("a", "b", "c")));
  await clock.advance(7000);
  expect(await answer).toEqual({ batchItemFailures: [] });
  expect(at).toEqual(["a:1 at 0", "a:2 at 7000", "b:1 at 7000", "c:1 at 7000"]);
});

test("skipped records are done, with a warning", async () => {
  const { calls, handler } = failing("b");
  const { lines: kept, logger: own } = lines();
  const lambda = toLambdaHandler(handler, { logger: own, onFailure: "skip" });
  expect(await lambda(eventOf(texts("a", "b", "c")))).toEqual({ batchItemFailures: [] });
  expect(calls).toEqual(["a:1", "b:1", "c:1"]);
  expect(kept).toEqual(["warn a record is skipped: Error"]);
});

test("without a logger warnings and errors go to the console, and nothing else does", async ({
  onTestFinished,
}) => {
  const { warn, error, debug, info } = console;
  onTestFinished(() => void Object.assign(console, { warn, error, debug, info }));
  const printed: string[] = [];
  for (const level of ["warn", "error", "debug", "info"] as const) {
    console[level] = (message: string) => void printed.push(`${level} ${message}`);
  }
  const { handler } = failing("b");
  const retry = { maxAttempts: 2, minDelayMs: 1, maxDelayMs: 1 };
  await toLambdaHandler(handler, { retry, onFailure: "skip" })(eventOf(texts("a", "b")));
  await toLambdaHandler(handler)(eventOf(texts("a", "b")));
  expect(printed).toEqual([
    "warn a record is skipped: Error",
    "error the delivery of a shard's records ends with an error",
  ]);
});

test("a record whose letter is acknowledged is done, and its letter is a consumer's", async () => {
  const queue = new MemoryDeadLetterQueue();
  const { handler } = failing("b");
  const lambda = toLambdaHandler(handler, { logger, application: "billing", onFailure: queue });
  expect(await lambda(eventOf(texts("a", "b", "c")))).toEqual({ batchItemFailures: [] });
  const { letters } = await queue.list();
  expect(letters).toMatchObject([
    {
      application: "billing",
      streamName: "orders",
      streamARN: STREAM_ARN,
      shardId: SHARD,
      sequenceNumber: numberOf(1),
      reason: "attempts",
      attempts: 1,
    },
  ]);
  expect(Buffer.from(letters[0]!.data!).toString()).toBe("b");
});

test("records older than maxRecordAgeMs are given up by this machine's clock", async () => {
  const clock = new FakeClock();
  const { calls, handler } = failing();
  const options = { clock, logger, maxRecordAgeMs: 60_000, onFailure: "skip" } as const;
  const lambda = toLambdaHandler(handler, options);
  const event = eventOf([{ data: "old", arrivedAt: 1_767_225_539 }, { data: "new" }]);
  expect(await lambda(event)).toEqual({ batchItemFailures: [] });
  expect(calls).toEqual(["new:1"]);
});

test("by key, records of other keys run side by side, and the lowest unfinished one is reported", async () => {
  const clock = new FakeClock();
  const running = new Set<string>();
  let most = 0;
  const order: string[] = [];
  const lambda = toLambdaHandler(
    async (record) => {
      expect(running.has(record.partitionKey!)).toBe(false);
      running.add(record.partitionKey!);
      most = Math.max(most, running.size);
      await new Promise<void>((resolve) => void clock.setTimer(resolve, 10));
      running.delete(record.partitionKey!);
      order.push(record.text());
      if (record.text() === "b1") throw new Error("no");
    },
    { clock, logger, concurrency: 10 },
  );
  const puts = ["a1", "b1", "c1", "a2", "b2"].map((data) => ({ key: data[0]!, data }));
  const answer = lambda(eventOf(puts));
  // a2 was started when a1 was done, and is finished.
  await clock.advance(20);
  expect(await answer).toEqual(failuresAt(1));
  expect(most).toBe(3);
  // c1 and a2 are done, and come again with b1.
  expect(order).toEqual(["a1", "b1", "c1", "a2"]);
});

test("records in hand are finished before the answer, and a record before the failed one that is not done is the lowest", async () => {
  const clock = new FakeClock();
  const done: string[] = [];
  const lambda = toLambdaHandler(
    async (record) => {
      const ms = record.text() === "a" ? 500 : 10;
      await new Promise<void>((resolve) => void clock.setTimer(resolve, ms));
      if (record.text() !== "a" || clock.monotonic() > 500) throw new Error("no");
      done.push(record.text());
    },
    { clock, logger, concurrency: 2, ordering: "none" },
  );
  let isAnswered = false;
  const answer = lambda(eventOf(texts("a", "b"))).finally(() => (isAnswered = true));
  await clock.advance(499);
  expect(isAnswered).toBe(false);
  await clock.advance(1);
  expect(await answer).toEqual(failuresAt(1));
  expect(done).toEqual(["a"]);
});

test("a record that a handler answers with SkipCheckpoint is done once a later one is, and else reported", async () => {
  const lambda = toLambdaHandler((record) => (record.text() === "a" ? SkipCheckpoint : undefined));
  expect(await lambda(eventOf(texts("a", "b")))).toEqual({ batchItemFailures: [] });
  expect(await lambda(eventOf(texts("b", "a", "a")))).toEqual(failuresAt(1));
});

test("KPL aggregates are taken apart, and one that is done in part is reported as a whole", async () => {
  const [{ entry }] = aggregate([
    { partitionKey: "a", data: Buffer.from("1") },
    { partitionKey: "b", data: Buffer.from("2") },
    { partitionKey: "c", data: Buffer.from("3") },
  ]) as [ReturnType<typeof aggregate>[number]];
  const puts = [{ data: "0" }, { data: entry.Data!, key: entry.PartitionKey! }, { data: "4" }];
  const { calls, handler } = failing("3");
  const keys: unknown[] = [];
  const all = toLambdaHandler((record) => {
    keys.push([record.partitionKey, record.subSequenceNumber, record.aggregated]);
  });
  expect(await all(eventOf(puts))).toEqual({ batchItemFailures: [] });
  expect(keys).toEqual([
    ["ada", undefined, false],
    ["a", 0, true],
    ["b", 1, true],
    ["c", 2, true],
    ["ada", undefined, false],
  ]);
  expect(await toLambdaHandler(handler, { logger })(eventOf(puts))).toEqual(failuresAt(1));
  expect(calls).toEqual(["0:1", "1:1", "2:1", "3:1"]);
  let whole = 0;
  const plain = toLambdaHandler(() => void (whole += 1), { deaggregate: false });
  await plain(eventOf(puts));
  expect(whole).toBe(3);
});

test("what is wrong whatever the record fails the invocation", async () => {
  const decode = { "~standard": { version: 1, vendor: "t", validate: async () => ({ value: 1 }) } };
  const lambda = toLambdaHandler(() => {}, { logger, decode: decode as never });
  await expect(lambda(eventOf(texts("{}")))).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    option: "decode",
  });
});

test("records are decoded as in a scan, and what does not decode is given up", async () => {
  const values: unknown[] = [];
  const lambda = toLambdaHandler((record) => void values.push(record.value), {
    logger,
    decode: (record: ConsumerRecord) => record.json<{ order: number }>().order,
    onFailure: "skip",
  });
  await lambda(eventOf(texts('{"order":1}', "{", '{"order":2}')));
  expect(values).toEqual([1, 2]);
});
