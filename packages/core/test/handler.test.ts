import { expect, expectTypeOf, test } from "vitest";
import { KcError, MemoryStore, SkipCheckpoint, type HandlerContext } from "../src/index.ts";
import { gate, keyOf, taking } from "./support/calls.ts";
import { World } from "./support/world.ts";

test("each record comes once, in order, with its shard's id", async () => {
  const world = await World.of({ shards: 2, maxRecordsPerPage: 3 });
  const contexts: HandlerContext[] = [];
  const run = await world.start({ start: "TRIM_HORIZON" }, (_record, context) => {
    contexts.push(context);
  });
  const numbers = Array.from({ length: 10 }, (_, i) => String(i));
  await world.put(keyOf(0, 2), ...numbers);
  await world.put(keyOf(1, 2), ...numbers);
  await world.clock.advance(3000);
  await run.stop();

  for (const shardId of await world.shardIds()) {
    const own = run.records.filter((record) => record.shardId === shardId);
    expect(own.map((record) => record.text())).toEqual(numbers);
  }
  expect(contexts.map(({ shardId }) => shardId)).toEqual(run.records.map(({ shardId }) => shardId));
});

test("a record has what was put, when it was taken, and how far behind its page was", async () => {
  const world = await World.of();
  const [first] = await world.put("key", '{"n":1}');
  const arrived = world.clock.now();
  await world.clock.advance(5000);
  await world.put("key", "2");
  await world.clock.advance(7000);
  const run = await world.start({ start: "TRIM_HORIZON", maxRecords: 1 });
  await run.stop();

  const [record] = run.records;
  expect(record).toMatchObject({
    partitionKey: "key",
    sequenceNumber: first,
    subSequenceNumber: undefined,
    approximateArrivalMs: arrived,
    approximateArrivalTimestamp: new Date(arrived),
    shardId: "shardId-000000000000",
    millisBehindLatest: 7000,
  });
  expect(record!.json()).toEqual({ n: 1 });
  expectTypeOf(record!.json<{ n: number }>()).toEqualTypeOf<{ n: number }>();
  const copy = record!.copy();
  expect(copy).toEqual(record);
  expect(copy.data.buffer).not.toBe(record!.data.buffer);
});

test("a handler that changes a record's date changes neither the record nor another", async () => {
  const world = await World.of();
  await world.put("key", "1", "2");
  const arrived = world.clock.now();
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) => {
    record.approximateArrivalTimestamp.setUTCFullYear(1970);
  });
  await run.stop();
  const dates = run.records.map((record) => record.approximateArrivalTimestamp.getTime());
  expect(dates).toEqual([arrived, arrived]);
});

test("an async handler's record is finished before the next one begins", async () => {
  const world = await World.of();
  let running = 0;
  let most = 0;
  const run = await world.start({ start: "TRIM_HORIZON" }, async () => {
    most = Math.max(most, (running += 1));
    await taking(world, 50)();
    running -= 1;
  });
  await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  await run.stop();

  expect(run.texts).toEqual(["1", "2", "3"]);
  expect(most).toBe(1);
});

test("a sync handler costs no microtask a record", async () => {
  const world = await World.of();
  await world.put("a", ...Array.from({ length: 100 }, (_, i) => String(i)));
  let microtasks = 0;
  const before: number[] = [];
  const run = await world.start({ start: "TRIM_HORIZON" }, () => {
    before.push(microtasks);
    queueMicrotask(() => (microtasks += 1));
  });
  await run.stop();

  expect(before).toEqual(Array.from({ length: 100 }, () => 0));
});

test("a failing handler stops the scan: the other shards finish their record, nothing else begins", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  const busy = gate();
  const run = await world.start({ store, start: "TRIM_HORIZON" }, async (record) => {
    if (record.text() === "busy") await busy.opened;
    if (record.text() === "bad") throw new TypeError("cannot handle this");
  });
  const [busyNumber] = await world.put(keyOf(0, 2), "busy", "after busy");
  const [goodNumber] = await world.put(keyOf(1, 2), "good", "bad", "after bad");
  await world.clock.advance(1000);
  expect(run.settled).toBeUndefined();
  busy.open();
  await world.clock.settle();

  expect(run.texts.toSorted()).toEqual(["bad", "busy", "good"]);
  expect(run.error).toMatchObject({
    code: "HANDLER_FAILED",
    shardId: "shardId-000000000001",
    message: expect.stringMatching(/shardId-000000000001.*: TypeError$/),
    cause: expect.objectContaining({ constructor: TypeError, message: "cannot handle this" }),
  });
  expect(KcError.is(run.error)).toBe(true);
  const scope = { application: "billing", streamName: "orders" };
  expect(await store.getCheckpoints(scope)).toEqual(
    new Map([
      ["shardId-000000000000", { kind: "position", sequenceNumber: busyNumber }],
      ["shardId-000000000001", { kind: "position", sequenceNumber: goodNumber }],
    ]),
  );
  expect(world.clock.pendingTimers).toBe(0);
});

test.each([
  ["throws", () => { throw new Error("no"); }], // prettier-ignore
  ["rejects", () => Promise.reject(new Error("no"))],
  ["throws what is no error", () => { throw "no"; }], // prettier-ignore
  ["rejects with nothing", () => Promise.reject(undefined)],
] as const)("a handler that %s rejects the scan with HANDLER_FAILED", async (_how, handler) => {
  const world = await World.of();
  await world.put("a", "1", "2");
  const run = await world.start({ start: "TRIM_HORIZON" }, handler);

  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", shardId: "shardId-000000000000" });
  expect(run.texts).toEqual(["1"]);
});

test("the first error wins, the others are logged", async () => {
  const world = await World.of({ shards: 2 });
  const both = gate();
  const run = await world.start({ start: "TRIM_HORIZON" }, async (record) => {
    await both.opened;
    throw new Error(`cannot handle ${record.shardId}`);
  });
  await world.put(keyOf(0, 2), "1");
  await world.put(keyOf(1, 2), "2");
  await world.clock.advance(300);
  both.open();
  await world.clock.settle();

  const [first, ...others] = world.logger.find("error", /./);
  const { message: told } = run.error as Error;
  expect(first!.fields["err"]).toMatchObject({ code: "HANDLER_FAILED", message: told });
  expect(others.map(({ message }) => message)).toEqual(["another error, while the scan stops"]);
  expect(others[0]!.fields["err"]).toMatchObject({ code: "HANDLER_FAILED" });
  expect((others[0]!.fields["err"] as Error).message).not.toBe(told);
  expect(world.counter.total("errors")).toBe(2);
});

test("a failed record is delivered again at the next start, finished ones are not", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1", "bad", "3");
  await world.start({ store, start: "TRIM_HORIZON" }, (record) => {
    if (record.text() === "bad") throw new Error("no");
  });
  const second = await world.start({ store });
  await second.stop();

  expect(second.texts).toEqual(["bad", "3"]);
});

test("a skipped record goes on, and moves no checkpoint", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1", "2");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, async () => SkipCheckpoint);
  await world.clock.advance(2000);
  await run.stop();

  expect(run.texts).toEqual(["1", "2"]);
  const scope = { application: "billing", streamName: "orders" };
  expect(await store.getCheckpoints(scope)).toEqual(new Map());
});

test("a second scan of a consumer is refused while one runs, and may follow it", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const stop = new AbortController();
  const scan = consumer.scan(() => {}, { signal: stop.signal });
  await world.clock.settle();
  await expect(consumer.scan(() => {})).rejects.toMatchObject({ code: "SCAN_ACTIVE" });
  stop.abort();
  await scan;
  await expect(consumer.scan(() => {}, { signal: stop.signal })).resolves.toBeUndefined();
});
