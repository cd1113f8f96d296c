import { once } from "node:events";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { MemoryStore, MemoryStoreData, type ConsumerRecord } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: "orders" };

/** Lets virtual time run until the promise has settled. */
async function settled<T>(world: World, promise: Promise<T>): Promise<T> {
  let over = false;
  const end = (): void => void (over = true);
  promise.then(end, end);
  for (let i = 0; i < 600 && !over; i += 1) await world.clock.advance(100);
  return promise;
}

test("the records of several shards come in each shard's order", async () => {
  const world = await World.of({ shards: 2 });
  for (let i = 0; i < 5; i += 1) {
    await world.put(keyOf(0, 2), `0:${i}`);
    await world.put(keyOf(1, 2), `1:${i}`);
  }
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const record of world.consumer({ start: "TRIM_HORIZON" }).records()) {
      seen.push(record.text());
      if (seen.length === 10) break;
    }
  };
  await settled(world, read());

  for (const shard of ["0", "1"]) {
    const own = seen.filter((text) => text.startsWith(shard));
    expect(own).toEqual([0, 1, 2, 3, 4].map((i) => `${shard}:${i}`));
  }
  expect(world.clock.pendingTimers).toBe(0);
});

test("asking for the next record acknowledges this one; break does not", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const numbers = await world.put("a", "1", "2", "3");
  const read = async (): Promise<void> => {
    for await (const record of world.consumer({ store, start: "TRIM_HORIZON" }).records()) {
      if (record.text() === "2") break;
    }
  };
  await settled(world, read());

  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual({
    kind: "position",
    sequenceNumber: numbers[0],
  });
});

test("a throw in the loop stops the scan before the loop is left, and acknowledges nothing", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1", "2");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const read = async (): Promise<void> => {
    try {
      for await (const record of consumer.records()) throw new Error(`no ${record.text()}`);
    } finally {
      expect(world.clock.pendingTimers).toBe(0);
      await consumer.scan(() => {}, { signal: AbortSignal.abort() });
    }
  };
  await expect(settled(world, read())).rejects.toThrow("no 1");
  expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
});

test("a break at the last record of a closed shard does not acknowledge it by the shard's end", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "last");
  await world.split(SHARD);
  const options = { store, start: "TRIM_HORIZON" } as const;
  const first = async (): Promise<string> => {
    for await (const record of world.consumer(options).records()) return record.text();
    return "none";
  };
  expect(await settled(world, first())).toBe("last");
  expect(await settled(world, first())).toBe("last");
});

test("a break does not acknowledge what another shard has to offer, at its end neither", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  await world.put(keyOf(0, 2), "0");
  await world.put(keyOf(1, 2), "1");
  await world.merge("shardId-000000000000", "shardId-000000000001");
  const options = { store, start: "TRIM_HORIZON" } as const;
  const first = async (): Promise<void> => {
    for await (const record of world.consumer(options).records()) return void record;
  };
  await settled(world, first());
  const again: string[] = [];
  const second = async (): Promise<void> => {
    for await (const record of world.consumer(options).records()) {
      again.push(record.text());
      if (again.length === 2) return;
    }
  };
  await settled(world, second());

  expect(again.toSorted()).toEqual(["0", "1"]);
});

test("an error of the scan is thrown in the loop", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation: "GetRecords", call: 2, error: "ValidationException" });
  await world.put("a", "1");
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const record of world.consumer({ start: "TRIM_HORIZON" }).records()) {
      seen.push(record.text());
    }
  };

  await expect(settled(world, read())).rejects.toMatchObject({
    code: "KINESIS_FAILED",
    shardId: SHARD,
  });
  expect(seen).toEqual(["1"]);
});

test("an abort ends a loop that waits, without an error", async () => {
  const world = await World.of();
  const stop = new AbortController();
  const read = async (): Promise<string> => {
    for await (const record of world.consumer().records({ signal: stop.signal })) void record;
    return "left";
  };
  const reading = read();
  await world.clock.advance(1000);
  stop.abort();
  await world.clock.settle();

  await expect(reading).resolves.toBe("left");
  expect(world.clock.pendingTimers).toBe(0);
});

test("an abort lets the loop finish its record, which asking for the next one acknowledges", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const stop = new AbortController();
  const numbers = await world.put("a", "1", "2", "3");
  const seen: string[] = [];
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const read = async (): Promise<void> => {
    for await (const record of consumer.records({ signal: stop.signal })) {
      seen.push(record.text());
      if (record.text() === "2") stop.abort();
    }
  };
  await settled(world, read());

  expect(seen).toEqual(["1", "2"]);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toMatchObject({ sequenceNumber: numbers[1] });
});

test("a loop that holds its record past an abort's deadline hears of it, and loses nothing", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const stop = new AbortController();
  await world.put("a", "1");
  const options = { store, start: "TRIM_HORIZON", drainTimeoutMs: 1000 } as const;
  const records = world.consumer(options).records({ signal: stop.signal });
  const first = await settled(world, records.next());
  stop.abort();
  await world.clock.advance(5000);

  await expect(records.next()).rejects.toMatchObject({ code: "DRAIN_TIMEOUT" });
  const again = world.consumer(options).records();
  const record = await settled(world, again.next());
  expect((record.value as ConsumerRecord).text()).toBe((first.value as ConsumerRecord).text());
  await settled(world, again.return());
});

test("a record that waits in line is not handed out once its shard is lost", async () => {
  const world = await World.of({ shards: 2 });
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const store = new MemoryStore({ data });
  await world.put(keyOf(0, 2), "kept");
  await world.put(keyOf(1, 2), "lost");
  const stop = new AbortController();
  const consumer = world.consumer({ store, group, start: "TRIM_HORIZON" });
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const record of consumer.records({ signal: stop.signal })) {
      seen.push(record.text());
      // Both shards have offered by now; while this record is in hand, the other shard goes.
      await world.clock.yield();
      lost.lose();
      await world.clock.yield();
    }
  };
  const reading = read();
  await world.clock.settle();
  group.grant("shardId-000000000000");
  const lost = group.grant("shardId-000000000001");
  await world.clock.advance(1000);
  stop.abort();
  await settled(world, reading);

  expect(lost.outcome).toMatchObject({ kind: "lost" });
  expect(seen).toEqual(["kept"]);
});

test("records() that is never asked for one makes no call", async () => {
  const world = await World.of();
  const records = world.consumer().records();
  await world.clock.advance(1000);
  await records.return();

  expect(world.kinesis.calls).toEqual([]);
});

const WAYS_OUT = [
  ["return", (records: Records) => records.return(undefined)],
  ["throw", (records: Records) => records.throw(new Error("enough")).catch(() => "thrown")],
  ["await using", (records: Records) => records[Symbol.asyncDispose]()],
] as const;
type Records = AsyncGenerator<ConsumerRecord, void, undefined>;

test.each(WAYS_OUT)(
  "%s while the next record is waited for ends the wait, and the scan",
  async (_, end) => {
    const world = await World.of();
    const store = new MemoryStore();
    const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
    const records = consumer.records();
    const waiting = records.next();
    await world.clock.advance(1000);
    const ending = end(records);
    await world.clock.settle();
    await ending;

    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await records.next()).toEqual({ done: true, value: undefined });
    expect(consumer.status().state).toBe("idle");
    expect(world.clock.pendingTimers).toBe(0);
    await world.put("a", "later");
    await world.clock.advance(10_000);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  },
);

test("a stream made of the records stops the consumer when it is destroyed, waiting or not", async () => {
  for (const puts of [[], ["1", "2", "3"]]) {
    const world = await World.of();
    const store = new MemoryStore();
    const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
    const stream = Readable.from(consumer.records(), { highWaterMark: 1 });
    stream.on("data", () => stream.pause());
    await world.put("a", ...puts);
    await world.clock.advance(1000);
    expect(consumer.status().state).toBe("running");
    stream.destroy();
    const closed = once(stream, "close");
    await world.clock.advance(100);
    await closed;

    expect(consumer.status().state).toBe("idle");
    expect(world.clock.pendingTimers).toBe(0);
  }
});

test("several calls of next get a record each, in order, and all end with the scan", async () => {
  const world = await World.of({ shards: 2 });
  const stop = new AbortController();
  const records = world.consumer().records({ signal: stop.signal });
  const waiting = [1, 2, 3, 4].map(() => records.next());
  await world.clock.advance(1000);
  await world.put(keyOf(0, 2), "1", "2", "3");
  const first = (await settled(world, Promise.all(waiting.slice(0, 3)))) as {
    value: ConsumerRecord;
  }[];
  expect(first.map(({ value }) => value.text())).toEqual(["1", "2", "3"]);
  stop.abort();

  expect(await settled(world, waiting[3]!)).toEqual({ done: true, value: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test("what ended the scan is reported once, also to who leaves the loop", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation: "GetRecords", call: 1, error: "ValidationException" });
  const records = world.consumer().records();
  await expect(settled(world, records.next())).rejects.toMatchObject({ code: "KINESIS_FAILED" });

  expect(await records.return(undefined)).toEqual({ done: true, value: undefined });
  expect(await records.next()).toEqual({ done: true, value: undefined });
});

test("a record that waits in line when its lease ends is not left out: it comes again", async () => {
  const world = await World.of({ shards: 2 });
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const store = new MemoryStore({ data });
  await world.put(keyOf(0, 2), "in hand");
  await world.put(keyOf(1, 2), "in line", "behind it");
  const records = world.consumer({ store, group, start: "TRIM_HORIZON" }).records();
  const first = records.next();
  await world.clock.settle();
  group.grant("shardId-000000000000");
  await world.clock.advance(1000);
  const late = group.grant("shardId-000000000001");
  late.endsAt = world.clock.monotonic() + 5000;
  await world.clock.advance(10_000);
  late.endsAt = Infinity;
  const seen = [await first];
  for (let i = 0; i < 2; i += 1) seen.push(await settled(world, records.next()));
  expect(seen.map(({ value }) => (value as ConsumerRecord).text())).toEqual([
    "in hand",
    "in line",
    "behind it",
  ]);
  await settled(world, records.return(undefined));
});
