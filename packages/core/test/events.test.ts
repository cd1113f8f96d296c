import { expect, test } from "vitest";
import { MemoryStore, StoreError, type ConsumerEvent } from "../src/index.ts";
import { EventFeed } from "../src/telemetry/events.ts";
import { gate, isFor } from "./support/calls.ts";
import { GroupWorld } from "./support/group-world.ts";
import { failing, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";

/** Everything that is told from now on. */
function listen(events: AsyncIterable<ConsumerEvent>): ConsumerEvent[] {
  const heard: ConsumerEvent[] = [];
  void (async () => {
    for await (const event of events) heard.push(event);
  })();
  return heard;
}

const kinds = (heard: readonly ConsumerEvent[]): string[] => heard.map(({ kind }) => kind);

test("a scan and its shards are reported from their beginning to their end", async () => {
  const world = await World.of();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const heard = listen(consumer.events());
  const [last] = (await world.put("a", "1", "2")).slice(-1);
  const run = await world.run(consumer);
  await world.clock.advance(2000);
  await run.stop();

  expect(heard).toEqual([
    { kind: "scan-started" },
    { kind: "shard-started", shardId: SHARD, owner: undefined },
    { kind: "scan-stopping", error: undefined },
    { kind: "shard-draining", shardId: SHARD },
    {
      kind: "shard-stopped",
      shardId: SHARD,
      outcome: "stopped",
      acknowledged: { kind: "position", sequenceNumber: last },
    },
    { kind: "scan-ended", error: undefined },
  ]);
});

test("a shard's end, its children and a failure are reported", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const heard = listen(consumer.events());
  await world.run(consumer, () => {
    throw new Error("no");
  });
  await world.split(SHARD);
  await world.clock.advance(3000);
  expect(heard).toContainEqual(
    expect.objectContaining({ kind: "shard-stopped", outcome: "ended" }),
  );
  expect(kinds(heard).filter((kind) => kind === "shard-started")).toHaveLength(3);
  await world.put("a", "1");
  await world.clock.advance(1000);
  expect(heard).toContainEqual({
    kind: "scan-stopping",
    error: expect.objectContaining({ code: "HANDLER_FAILED" }),
  });
  expect(heard).toContainEqual(
    expect.objectContaining({ kind: "shard-stopped", outcome: "failed" }),
  );
  expect(heard.at(-1)).toEqual({
    kind: "scan-ended",
    error: expect.objectContaining({ code: "HANDLER_FAILED" }),
  });
});

test("a shard whose finished work the store refuses for good has failed, though the refusal stopped its scan", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const error = new StoreError("STORE_SCHEMA", "no such table");
  store.let("setCheckpoints", failing(error));
  const consumer = world.consumer({ store });
  const heard = listen(consumer.events());
  const run = await world.run(consumer);
  await world.put("a", "1");
  await world.clock.advance(10_000);
  expect(run.error).toBe(error);
  expect(heard).toContainEqual(
    expect.objectContaining({ kind: "shard-stopped", outcome: "failed" }),
  );
});

test("trouble with a shard is reported once, and when it is over; an iterator that expires is none", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const heard = listen(consumer.events());
  const where = isFor(SHARD);
  const run = await world.run(consumer);
  world.kinesis.faults.fail({ operation: "GetRecords", where, error: "ExpiredIteratorException" });
  await world.clock.advance(2000);
  expect(kinds(heard)).toEqual(["scan-started", "shard-started"]);
  world.kinesis.faults.fail({ operation: "GetRecords", where, times: 3, error: "InternalFailure" });
  await world.clock.advance(5000);
  expect(heard.slice(2)).toEqual([
    { kind: "shard-failing", shardId: SHARD, error: expect.stringMatching(/InternalFailure/) },
    { kind: "shard-recovered", shardId: SHARD },
  ]);
  await run.stop();
});

test("a pause for the store is reported, and its end", async () => {
  const world = await World.of();
  const away = gate();
  const store = new (class extends MemoryStore {
    override async setCheckpoints(
      ...args: Parameters<MemoryStore["setCheckpoints"]>
    ): ReturnType<MemoryStore["setCheckpoints"]> {
      await away.opened;
      return super.setCheckpoints(...args);
    }
  })();
  const consumer = world.consumer({ store, maxUnflushedMs: 2000 });
  const heard = listen(consumer.events());
  const run = await world.run(consumer);
  for (let second = 0; second < 5; second += 1) {
    await world.put("a", "1");
    await world.clock.advance(1000);
  }
  expect(heard.at(-1)).toEqual({ kind: "shard-paused", shardId: SHARD, waitingFor: "store" });
  away.open();
  await world.clock.advance(2000);
  expect(heard.at(-1)).toEqual({ kind: "shard-resumed", shardId: SHARD });
  await run.stop();
});

test("a pause for the lease, and its loss, are reported with the owner", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const a = await group.join("a");
  const heard = listen(a.run.consumer.events());
  await clock.advance(3000);
  expect(heard).toContainEqual({
    kind: "shard-started",
    shardId: SHARD,
    owner: expect.stringMatching(/^a#/),
  });
  a.link.state = "hangs";
  await clock.advance(9500);
  await group.put(0, 1);
  await clock.advance(500);
  expect(heard.at(-1)).toEqual({ kind: "shard-paused", shardId: SHARD, waitingFor: "lease" });
});

test("a reader ends by its signal, or by leaving the loop; others go on", async () => {
  const feed = new EventFeed();
  const stop = new AbortController();
  const aborted = feed.read(stop.signal);
  const left = feed.read(undefined);
  const stays = feed.read(undefined);
  feed.emit({ kind: "scan-started" });
  stop.abort();
  feed.emit({ kind: "scan-ended", error: undefined });
  expect(await aborted.next()).toEqual({ done: false, value: { kind: "scan-started" } });
  expect(await aborted.next()).toEqual({ done: true, value: undefined });
  for await (const event of left) {
    expect(event.kind).toBe("scan-started");
    break;
  }
  expect(await left.next()).toEqual({ done: true, value: undefined });
  expect((await stays.next()).value).toEqual({ kind: "scan-started" });
  expect((await stays.next()).value?.kind).toBe("scan-ended");
  const waits = stays.next();
  await stays.return?.();
  expect(await waits).toEqual({ done: true, value: undefined });
});

test("calls of next that wait together get one event each, in order, and all of them end", async () => {
  const feed = new EventFeed();
  const events = feed.read(undefined);
  const [first, second, third, last] = [events.next(), events.next(), events.next(), events.next()];
  feed.emit({ kind: "scan-started" });
  feed.emit({ kind: "shard-resumed", shardId: SHARD });
  expect((await first).value).toEqual({ kind: "scan-started" });
  expect((await second).value).toEqual({ kind: "shard-resumed", shardId: SHARD });
  await events.return?.();
  expect([await third, await last]).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
});

test("a reader that lags is told how many events it missed, not kept every one", async () => {
  const feed = new EventFeed();
  const events = feed.read(undefined);
  for (let n = 0; n < 2500; n += 1) feed.emit({ kind: "shard-resumed", shardId: String(n) });
  for (let n = 0; n < 1000; n += 1) {
    expect((await events.next()).value).toEqual({ kind: "shard-resumed", shardId: String(n) });
  }
  expect((await events.next()).value).toEqual({ kind: "events-missed", count: 1500 });
  feed.emit({ kind: "scan-ended", error: undefined });
  expect((await events.next()).value?.kind).toBe("scan-ended");
});
