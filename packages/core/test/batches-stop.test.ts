import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  MemoryStore,
  MemoryStoreData,
  type BatchHandler,
  type BatchOptions,
  type ConsumerRecord,
  type DeadLetter,
  type DeadLetterQueue,
} from "../src/index.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };
const HOURS = { maxAttempts: 9, minDelayMs: 3_600_000, maxDelayMs: 3_600_000, factor: 1 };

const textsOf = (records: readonly ConsumerRecord[]): string =>
  records.map((record) => record.text()).join(" ");

async function storedIn(store: MemoryStore): Promise<unknown> {
  return (await store.getCheckpoints(SCOPE)).get(SHARD);
}

const ENDS = ["stop", "hand-off", "loss"] as const;

test.each(ENDS)(
  "a %s ends a batch's wait for its next attempt at once, and it comes again",
  async (how) => {
    const world = await World.of();
    const data = new MemoryStoreData();
    const store = new MemoryStore({ data });
    const group = new ScriptedGroup(data);
    const [before] = await world.put("a", "good");
    await world.put("a", "bad", "2");
    const calls: string[] = [];
    const handler: BatchHandler = async (records, { attempt }) => {
      calls.push(`${textsOf(records)}:${attempt}`);
      const bad = records.filter((record) => record.text() === "bad");
      return { batchItemFailures: bad.map((r) => ({ itemIdentifier: r.sequenceNumber })) };
    };
    const consumer = world.consumer({ store, start: "TRIM_HORIZON", group });
    const run = await world.runBatches(consumer, handler, { retry: HOURS });
    const grant = group.grant(SHARD);
    await world.clock.advance(2000);
    expect(calls).toEqual(["good bad 2:1"]);
    if (how === "stop") run.abort();
    else if (how === "loss") grant.lose();
    else grant.handOff();
    await world.clock.advance(10);
    const kind = { stop: "stopped", "hand-off": "released", loss: "lost" }[how];
    expect(grant.outcome).toMatchObject({ kind });
    expect(consumer.status().bufferedBytes).toBe(0);
    await world.clock.advance(1000);
    expect(await storedIn(store)).toMatchObject({ sequenceNumber: before });
    await run.stop();
    expect(run.error).toBeUndefined();
  },
);

test("a stop waits for the batches in the handler, starts none, and keeps what they did", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [, second] = await world.put("a", "1", "2", "3");
  const calls: string[] = [];
  const handler: BatchHandler = async (records) => {
    calls.push(textsOf(records));
    await sleep(world.clock, 5000);
  };
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const run = await world.runBatches(consumer, handler, { maxRecords: 2 });
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(1000);
  expect(run.settled).toBeUndefined();
  await world.clock.advance(4000);
  expect(run.settled).toEqual({ error: undefined });
  expect(calls).toEqual(["1 2"]);
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: second });
});

test("a queue that is away holds up the shard, loses nothing, and all goes on by itself", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const numbers = await world.put("a", "1", "bad", "3");
  let isAway = true;
  const sent: (readonly DeadLetter[])[] = [];
  const queue: DeadLetterQueue = {
    send: async (letters) => {
      if (isAway) throw new Error("away");
      sent.push(letters);
    },
    close: async () => {},
  };
  const calls: string[] = [];
  const handler: BatchHandler = (records) => {
    calls.push(textsOf(records));
    const bad = records.filter((record) => record.text() === "bad");
    return { batchItemFailures: bad.map((r) => ({ itemIdentifier: r.sequenceNumber })) };
  };
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const run = await world.runBatches(consumer, handler, { onFailure: queue });
  await world.put("a", "4");
  await world.clock.advance(120_000);
  expect(calls).toEqual(["1 bad 3"]);
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: numbers[0] });
  isAway = false;
  await world.clock.advance(60_000);
  expect(sent.flat().map(({ sequenceNumber }) => sequenceNumber)).toEqual([numbers[1]]);
  expect(calls).toEqual(["1 bad 3", "3", "4"]);
  await run.stop();
  expect(run.error).toBeUndefined();
});

test("letters of a batch that is given up go to the queue in one call", async () => {
  const world = await World.of();
  await world.put("a", "1", "2", "3");
  const sent: number[] = [];
  const queue: DeadLetterQueue = {
    send: async (letters) => void sent.push(letters.length),
    close: async () => {},
  };
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const fails: BatchHandler = () => Promise.reject(new Error("no"));
  const run = await world.runBatches(consumer, fails, { onFailure: queue });
  await world.clock.advance(1000);
  await run.stop();
  expect(sent).toEqual([3]);
});

test("a handler that writes into its records has the next attempt begin with what was read", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const seen: unknown[] = [];
  const options: BatchOptions = { retry: { minDelayMs: 100 } };
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const handler: BatchHandler = (records, { attempt }) => {
    seen.push(records[0]!.partitionKey);
    Object.assign(records[0]!, { partitionKey: "changed", sequenceNumber: "0" });
    if (attempt === 1) throw new Error("no");
  };
  const run = await world.runBatches(consumer, handler, options);
  await world.clock.advance(1000);
  await run.stop();
  expect(seen).toEqual(["a", "a"]);
});

test("a handler that overwrites a record's arrival makes its batch no older for the next attempt", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const attempts: number[] = [];
  const handler: BatchHandler = (records, { attempt }) => {
    attempts.push(attempt);
    Object.assign(records[0]!, { approximateArrivalMs: 0 });
    if (attempt < 3) throw new Error("no");
  };
  const day: BatchOptions = { maxRecordAgeMs: 86_400_000, onFailure: "skip" };
  const options = { ...day, retry: { maxAttempts: 5 } };
  const run = await world.runBatches(world.consumer({ start: "TRIM_HORIZON" }), handler, options);
  await world.clock.advance(5000);
  await run.stop();
  expect(attempts).toEqual([1, 2, 3]);
});
