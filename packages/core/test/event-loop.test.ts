import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import { expect, test } from "vitest";
import { Consumer, type ConsumerOptions, type Counter, type Handler } from "../src/index.ts";

/**
 * These run by the machine's own clock. What is measured is work, not time: how many records of
 * 1 ms each are handled between two turns of the event loop. A machine that is busy elsewhere makes
 * each record take longer, and so makes the counts smaller.
 */
const RECORDS = 60;
const MAX_AT_A_STRETCH = 25;

const HANDLERS: readonly (readonly [kind: string, handler: Handler])[] = [
  ["a sync handler that computes", () => compute(1)],
  [
    "an async handler that awaits only microtasks",
    async () => {
      compute(0.5);
      await Promise.resolve();
      compute(0.5);
    },
  ],
];

test.each(HANDLERS)("%s delays no timer by more than its turn", async (_kind, handler) => {
  const stretches = await stretchesOf(1, handler);
  expect(Math.max(...stretches)).toBeLessThanOrEqual(MAX_AT_A_STRETCH);
});

test("many shards that compute delay a timer by no more than one does", async () => {
  const stretches = await stretchesOf(8, () => compute(1));
  expect(Math.max(...stretches)).toBeLessThanOrEqual(MAX_AT_A_STRETCH);
});

test("pages of many shards that arrive together take turns from their first record on", async () => {
  const stretches = await stretchesOf(8, () => compute(1), { maxRecords: 12, scanIntervalMs: 0 });
  expect(Math.max(...stretches)).toBeLessThanOrEqual(MAX_AT_A_STRETCH);
});

test("a handler that blocks shows in the delay that the counter gets", async () => {
  const kinesis = await streamOf(1);
  const stop = new AbortController();
  const delays: number[] = [];
  const nothing = (): void => {};
  let blocked = false;
  const counter: Counter = {
    add: nothing,
    set: nothing,
    remove: nothing,
    record: (name, value) => {
      // A busy machine may let a second pass before the handler's turn.
      if (name !== "event_loop_delay" || !blocked) return;
      delays.push(value);
      stop.abort();
    },
  };
  await busyConsumer(kinesis, { counter }).scan(
    () => {
      if (!blocked) compute(500);
      blocked = true;
    },
    { signal: stop.signal },
  );
  expect(delays[0]).toBeGreaterThanOrEqual(400);
});

test.each(HANDLERS)("an abort during %s is seen within its turn", async (_kind, handler) => {
  const kinesis = await streamOf(1);
  const stop = new AbortController();
  let handled = 0;
  let handledAtAbort = 0;
  const consumer = busyConsumer(kinesis);
  await consumer.scan(
    (record, context) => {
      handled += 1;
      if (handled === 20) {
        setTimeout(() => {
          handledAtAbort = handled;
          stop.abort();
        }, 0);
      }
      return handler(record, context);
    },
    { signal: stop.signal },
  );

  expect(handledAtAbort).toBeLessThanOrEqual(20 + MAX_AT_A_STRETCH);
  expect(handled).toBe(handledAtAbort);
});

test("no busy shard keeps the others from their turn", async () => {
  const kinesis = await streamOf(4);
  const stop = new AbortController();
  const order: string[] = [];
  const consumer = busyConsumer(kinesis);
  await consumer.scan(
    (record) => {
      order.push(record.shardId);
      compute(1);
      if (order.length === 4 * RECORDS) stop.abort();
    },
    { signal: stop.signal },
  );

  expect(new Set(order.slice(0, 3 * MAX_AT_A_STRETCH)).size).toBe(4);
});

/** How many records are handled from each round of timers to the next. */
async function stretchesOf(
  shards: number,
  handler: Handler,
  options: Partial<ConsumerOptions> = {},
): Promise<number[]> {
  const kinesis = await streamOf(shards);
  const stop = new AbortController();
  const stretches: number[] = [];
  let total = 0;
  let stretch = 0;
  const tick = (): void => {
    stretches.push(stretch);
    stretch = 0;
    if (total < shards * RECORDS) setTimeout(tick, 1);
    else stop.abort();
  };
  setTimeout(tick, 1);
  const consumer = busyConsumer(kinesis, options);
  await consumer.scan(
    (record, context) => {
      total += 1;
      stretch += 1;
      return handler(record, context);
    },
    { signal: stop.signal },
  );
  return stretches;
}

function busyConsumer(kinesis: FakeKinesis, options: Partial<ConsumerOptions> = {}): Consumer {
  return new Consumer({ stream: "busy", client: kinesis, start: "TRIM_HORIZON", ...options });
}

/** A stream with `RECORDS` records in each of its shards. */
async function streamOf(shards: number): Promise<FakeKinesis> {
  const kinesis = new FakeKinesis({ quotas: false });
  await kinesis.send(new CreateStreamCommand({ StreamName: "busy", ShardCount: shards }));
  for (let shard = 0; shard < shards; shard += 1) {
    const hashKey = ((BigInt(shard) << 128n) / BigInt(shards) + 1n).toString();
    const Records = Array.from({ length: RECORDS }, () => ({
      PartitionKey: "key",
      ExplicitHashKey: hashKey,
      Data: Buffer.from("data"),
    }));
    await kinesis.send(new PutRecordsCommand({ StreamName: "busy", Records }));
  }
  return kinesis;
}

function compute(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
