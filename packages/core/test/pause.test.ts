import { expect, test } from "vitest";
import type { Clock } from "../src/clock.ts";
import { Consumer, MemoryStore, MemoryStoreData, type ConsumerRecord } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";

test("a paused shard starts no record, not even the next one of its page, until it is resumed; others go on", async () => {
  const world = await World.of({ shards: 2 });
  const texts = Array.from({ length: 12 }, (_, i) => `${i}`);
  await world.put(keyOf(0, 2), ...texts);
  let resume = (): void => {};
  const consumer = world.consumer({ start: "TRIM_HORIZON", store: new MemoryStore() });
  const run = await world.run(consumer, (record) => {
    if (record.text() === "5") resume = consumer.pause([SHARD]);
  });
  await world.put(keyOf(1, 2), "other");
  await world.clock.advance(60_000);
  expect(run.texts).toEqual([...texts.slice(0, 6), "other"]);
  expect(consumer.status().shards).toMatchObject([
    { state: "paused", pausedBy: "user", handlingForMs: 0, unflushedForMs: 0 },
    { state: "reading", pausedBy: undefined },
  ]);
  // An alert on what is paused is not for a pause that somebody asked for.
  expect(world.counter.gauge("shards")).toMatchObject({
    paused: 0,
    "paused-by-user": 1,
    reading: 1,
  });
  resume();
  await world.clock.advance(100);
  expect(run.texts).toEqual([...texts.slice(0, 6), "other", ...texts.slice(6)]);
  expect(consumer.status().shards[0]).toMatchObject({ state: "reading", pausedBy: undefined });
});

test("what the user has paused is no trouble: the consumer stays ready, however far the shard lags", async () => {
  const world = await World.of();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const kinds: string[] = [];
  void (async () => {
    for await (const event of consumer.events()) {
      kinds.push("waitingFor" in event ? `${event.kind} ${event.waitingFor}` : event.kind);
    }
  })();
  consumer.pause();
  await world.run(consumer);
  await world.put("a", "1");
  await world.clock.advance(3_600_000);
  expect(consumer.status().shards[0]!.lagMs).toBeGreaterThan(3_000_000);
  expect(consumer.health({ laggingAfterMs: 1000 })).toMatchObject({ ready: true, reasons: [] });
  expect(kinds).toContain("shard-paused user");
  expect(kinds).not.toContain("shard-resumed");
});

test("of several pauses a shard needs all to be over, and resuming twice is resuming once", async () => {
  const world = await World.of();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const all = consumer.pause();
  const own = consumer.pause([SHARD]);
  const run = await world.run(consumer);
  await world.put("a", "1");
  all();
  all();
  await world.clock.advance(1000);
  expect(run.texts).toEqual([]);
  own();
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("a stop does not wait for a pause, and a pause lasts through the next scan", async () => {
  const world = await World.of();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const resume = consumer.pause();
  const first = await world.run(consumer);
  await world.put("a", "1");
  await world.clock.advance(1000);
  first.abort();
  await world.clock.advance(10);
  expect(first.settled).toEqual({ error: undefined });
  const second = await world.run(consumer);
  await world.clock.advance(1000);
  resume();
  await world.clock.advance(1000);
  expect([first.texts, second.texts]).toEqual([[], ["1"]]);
});

test("a record whose lease ends while the user has paused its shard does not start when the pause ends", async () => {
  const world = await World.of();
  const { clock } = world;
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const consumer = world.consumer({
    start: "TRIM_HORIZON",
    store: new MemoryStore({ data }),
    group,
  });
  const resume = consumer.pause();
  const run = await world.run(consumer);
  await world.put("a", "1");
  const grant = group.grant(SHARD);
  grant.endsAt = clock.monotonic() + 10_000;
  await clock.advance(60_000);
  resume();
  await clock.advance(1000);
  expect(run.texts).toEqual([]);
  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", pausedBy: "lease" });
  grant.endsAt = Infinity;
  await clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test.each([
  ["a shard's id alone", SHARD],
  ["no shard", []],
  ["a number", [1]],
  ["null", null],
])("pause refuses %s, and says what to pass", (_, shardIds) => {
  const consumer = new Consumer({ stream: "orders", application: "billing" });
  expect(() => consumer.pause(shardIds as unknown as string[])).toThrow(
    /shardIds: must be a list of shards/,
  );
});

test("a record does not start when its lease is renewed if the user has paused its shard meanwhile", async () => {
  const world = await World.of();
  const { clock } = world;
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const store = new MemoryStore({ data });
  const consumer = world.consumer({ start: "TRIM_HORIZON", store, group });
  const run = await world.run(consumer);
  await world.put("a", "1");
  const grant = group.grant(SHARD);
  grant.endsAt = clock.monotonic();
  await clock.advance(10_000);
  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", pausedBy: "lease" });
  const resume = consumer.pause();
  grant.endsAt = Infinity;
  await clock.advance(10_000);
  expect(run.texts).toEqual([]);
  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", pausedBy: "user" });
  resume();
  await clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test.each(["several at once", "in batches"])(
  "%s: a turn of the event loop that comes once the shard was handed over starts nothing, and fails nothing",
  async (how) => {
    const world = await World.of();
    let isHeld = false;
    const turns: (() => void)[] = [];
    const clock: Clock = {
      now: () => world.clock.now(),
      monotonic: () => world.clock.monotonic(),
      setTimer: (callback, ms) => world.clock.setTimer(callback, ms),
      yield: () => (isHeld ? new Promise((resolve) => turns.push(resolve)) : world.clock.yield()),
    };
    const data = new MemoryStoreData();
    const group = new ScriptedGroup(data);
    const store = new MemoryStore({ data });
    const consumer = world.consumer({ clock, store, group, start: "TRIM_HORIZON" });
    const calls: string[] = [];
    const handler = (record: ConsumerRecord): void => {
      calls.push(record.text());
      if (record.text() === "bad") throw new Error("no");
    };
    const retry = { maxAttempts: 9, minDelayMs: 5000, factor: 1 };
    const options = { concurrency: 4, retry };
    const run =
      how === "in batches"
        ? await world.runBatches(consumer, (records) => records.forEach(handler), options)
        : await world.run(consumer, handler, options);
    const grant = group.grant(SHARD);
    await world.put("a", "bad");
    await world.clock.advance(1000);
    expect(calls).toHaveLength(1);
    isHeld = true;
    consumer.pause();
    // The next attempt waits for a turn. Meanwhile comes another page: the shard's last one is empty.
    await world.clock.advance(5000);
    await (how === "several at once" ? world.split(SHARD) : world.put("b", "2"));
    await world.clock.advance(5000);
    expect(turns).toHaveLength(1);
    grant.handOff();
    await world.clock.advance(100);
    expect(grant.outcome).toMatchObject({ kind: "released" });
    isHeld = false;
    for (const begin of turns) begin();
    await world.clock.advance(1000);
    expect(run.settled).toBeUndefined();
    await run.stop();
    expect(run.error).toBeUndefined();
    expect(calls).toHaveLength(1);
  },
);
