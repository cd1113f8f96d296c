import { channel, tracingChannel } from "node:diagnostics_channel";
import { AsyncLocalStorage } from "node:async_hooks";
import { expect, onTestFinished, test } from "vitest";
import {
  CHANNELS,
  MemoryStore,
  type CheckpointMessage,
  type HandleMessage,
  type LeaseMessage,
  type PollMessage,
} from "../src/index.ts";
import { GroupWorld } from "./support/group-world.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SOURCE = { stream: STREAM, application: "billing" };

type Told<Message> = readonly [phase: string, message: Message];

/** What a tracing channel tells, in order, as it stands when it is told. */
function trace<Message extends object>(name: string): Told<Message>[] {
  const told: Told<Message>[] = [];
  const tell =
    (phase: string) =>
    (message: object): void =>
      void told.push([phase, { ...message } as Message]);
  const subscribers = {
    start: tell("start"),
    end: tell("end"),
    asyncStart: tell("asyncStart"),
    asyncEnd: tell("asyncEnd"),
    error: tell("error"),
  };
  const traced = tracingChannel<object, object>(name);
  traced.subscribe(subscribers);
  onTestFinished(() => traced.unsubscribe(subscribers));
  return told;
}

const phases = (told: readonly Told<object>[]): string[] => told.map(([phase]) => phase);

test("a poll is reported with what came, or why it failed", async () => {
  const world = await World.of();
  const told = trace<PollMessage>(CHANNELS.poll);
  world.kinesis.faults.fail({ operation: "GetRecords", error: "InternalFailure" });
  await world.put("a", "one", "four");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  await run.stop();

  expect(phases(told).slice(0, 5)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
  expect(told[2]![1]).toMatchObject({ ...SOURCE, shardId: SHARD, error: expect.any(Error) });
  const came = told.filter(([phase]) => phase === "asyncEnd")[1]![1];
  expect(came).toMatchObject({ ...SOURCE, shardId: SHARD, records: 2, bytes: expect.any(Number) });
  expect(came.error).toBeUndefined();
});

test("a handler that is not async is reported at once, an async one when it is done", async () => {
  const world = await World.of();
  const told = trace<HandleMessage>(CHANNELS.handle);
  await world.put("a", "sync", "async");
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) =>
    record.text() === "sync" ? 1 : Promise.resolve(2),
  );
  await world.clock.advance(1000);
  await run.stop();

  expect(phases(told)).toEqual(["start", "end", "start", "end", "asyncStart", "asyncEnd"]);
  expect(told[1]![1]).toMatchObject({ ...SOURCE, shardId: SHARD, result: 1 });
  expect(told[3]![1]).not.toHaveProperty("result");
  expect(told[5]![1]).toMatchObject({ result: 2 });
  expect(told[5]![1].record.text()).toBe("async");
  expect(run.texts).toEqual(["sync", "async"]);
});

test.each([
  ["throws", () => { throw new Error("no"); }, ["start", "error", "end"]], // prettier-ignore
  ["rejects", async () => { throw new Error("no"); }, ["start", "end", "error", "asyncStart", "asyncEnd"]], // prettier-ignore
])("a handler that %s is reported, and fails the scan as ever", async (_how, handler, expected) => {
  const world = await World.of();
  const told = trace<HandleMessage>(CHANNELS.handle);
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, handler);
  expect(phases(told)).toEqual(expected);
  expect(told.find(([phase]) => phase === "error")![1].error).toMatchObject({ message: "no" });
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED" });
});

test("a record waits for whatever its handler answers with, whether anybody listens or not", async () => {
  const world = await World.of();
  trace<HandleMessage>(CHANNELS.handle);
  let resolve = (): void => {};
  /** Its `then` answers with nothing, unlike a promise's. */
  // oxlint-disable-next-line unicorn/no-thenable
  const answer = { then: (done: () => void): void => void (resolve = done) };
  await world.put("a", "1", "2");
  const run = await world.start({ start: "TRIM_HORIZON" }, () => answer);
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
  resolve();
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1", "2"]);
  resolve();
});

test("the handler runs in what a listener has bound to its start", async () => {
  const world = await World.of();
  const store = new AsyncLocalStorage<string>();
  const { start } = tracingChannel<string, HandleMessage>(CHANNELS.handle);
  start.bindStore(store, ({ record }) => `span of ${record.text()}`);
  onTestFinished(() => void start.unbindStore(store));
  const seen: unknown[] = [];
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, async () => {
    await Promise.resolve();
    seen.push(store.getStore());
  });
  await run.stop();
  expect(seen).toEqual(["span of 1"]);
});

test("a write of checkpoints is reported with what it carries", async () => {
  const world = await World.of();
  const told = trace<CheckpointMessage>(CHANNELS.checkpoint);
  const [sequenceNumber] = await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON", store: new MemoryStore() });
  await world.clock.advance(2000);
  await run.stop();

  expect(phases(told)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
  expect(told[0]![1]).toEqual({
    ...SOURCE,
    checkpoints: [{ shardId: SHARD, checkpoint: { kind: "position", sequenceNumber } }],
  });
});

test("leases are reported as they come and go; a take-over with how long it took", async () => {
  const told: LeaseMessage[] = [];
  const onLease = (message: unknown): void => void told.push(message as LeaseMessage);
  channel(CHANNELS.lease).subscribe(onLease);
  onTestFinished(() => {
    channel(CHANNELS.lease).unsubscribe(onLease);
  });
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(3000);
  const b = await group.join("b");
  await clock.advance(2000);
  a.link.state = "hangs";
  await clock.advance(13_000);
  const took = group.world.counter.values("takeover_duration");
  a.link.state = "whole";
  await clock.advance(3000);
  await b.run.stop();

  const owner = (id: string): unknown => expect.stringMatching(new RegExp(`^${id}#`));
  const lease = { stream: STREAM, application: "billing", shardId: SHARD };
  expect(told.slice(0, 4)).toEqual([
    { ...lease, change: "acquired", reason: "new", owner: owner("a"), epoch: 1 },
    { ...lease, change: "acquired", reason: "taken-over", owner: owner("b"), epoch: 2 },
    { ...lease, change: "lost", reason: "lost", owner: owner("a"), epoch: 1 },
    { ...lease, change: "released", reason: "stopped", owner: owner("b"), epoch: 2 },
  ]);
  // A lease, and what passes from heartbeat to heartbeat.
  expect(took).toHaveLength(1);
  expect(took[0]).toBeGreaterThanOrEqual(10_000);
  expect(took[0]).toBeLessThanOrEqual(12_000);
});
