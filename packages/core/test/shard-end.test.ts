import { ListShardsCommand, type GetRecordsCommand } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import {
  shardEndAt,
  SkipCheckpoint,
  type Checkpoint,
  type KinesisClientLike,
} from "../src/index.ts";
import { gate } from "./support/calls.ts";
import { late, RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const HOUR = 3_600_000;
const END = { kind: "shard-end", sequenceNumber: expect.stringMatching(/^\d+$/) as string };

test("the hook is called when the end is in the store, once, also over restarts", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 500));
  const stored: (Checkpoint | undefined)[] = [];
  const onShardClosed = (shardId: string): unknown => stored.push(store.stored(shardId));
  const first = await world.start({ store, onShardClosed });
  await world.put("a", "1");
  await world.split(SHARD);
  await world.clock.advance(60_000);
  await first.stop();
  const second = await world.start({ store, onShardClosed });
  await world.clock.advance(60_000);
  await second.stop();
  expect(stored).toEqual([END]);
});

test.each([
  ["the last record", (): unknown => undefined],
  ["the last record, although no checkpoint covered it", () => SkipCheckpoint],
])("a shard's end carries the number of %s", async (_, handler) => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  await world.start({ store, flushIntervalMs: 60_000 }, handler);
  const numbers = await world.put("a", "1", "2", "3");
  await world.split(SHARD);
  await world.clock.advance(1000);
  expect(store.writesOf(SHARD)).toEqual([shardEndAt(numbers[2])]);
});

test("a shard that has no more records after its checkpoint carries that one's number to its end", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const first = await world.start({ store });
  const numbers = await world.put("a", "1", "2");
  await world.clock.advance(1000);
  await first.stop();
  await world.clock.advance(23 * HOUR);
  await world.split(SHARD);
  await world.clock.advance(2 * HOUR);
  await world.start({ store });
  await world.clock.advance(1000);
  expect(store.stored(SHARD)).toEqual(shardEndAt(numbers[1]));
});

test("a shard that ended without a record carries its first number", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  await world.start({ store });
  await world.split(SHARD);
  await world.clock.advance(1000);
  const { Shards } = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  const first = Shards![0]!.SequenceNumberRange!.StartingSequenceNumber!;
  expect(store.stored(SHARD)).toEqual(shardEndAt(first));
});

test("children wait for the hook", async () => {
  const world = await World.of();
  let done = (): void => {};
  const onShardClosed = (): Promise<void> => new Promise((resolve) => (done = resolve));
  const run = await world.start({ onShardClosed });
  await world.split(SHARD);
  await world.put("a", "1");
  await world.clock.advance(60_000);
  expect(run.texts).toEqual([]);
  done();
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("a last page that a stop cut short is no end: no hook, no end in the store, the rest comes next time", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const closed: string[] = [];
  const options = { store, onShardClosed: (shardId: string) => closed.push(shardId) };
  const first = await world.start(options, () => first.abort());
  await world.put("a", "1", "2", "3");
  await world.split(SHARD);
  await world.clock.advance(1000);
  expect(first.settled).toEqual({ error: undefined });
  expect(closed).toEqual([]);
  expect(store.stored(SHARD)).toMatchObject({ kind: "position" });

  const second = await world.start(options);
  await world.clock.advance(1000);
  expect([...first.texts, ...second.texts]).toEqual(["1", "2", "3"]);
  expect(closed).toEqual([SHARD]);
});

test.each(["throws", "rejects"])(
  "a hook that %s stops the scan; the end stays in the store",
  async (how) => {
    const world = await World.of();
    const store = new RecordingStore(world.clock);
    const cause = new Error("the hook's own");
    const onShardClosed = (): unknown => {
      if (how === "throws") throw cause;
      return Promise.reject(cause);
    };
    const run = await world.start({ store, onShardClosed });
    await world.split(SHARD);
    await world.clock.advance(1000);
    expect(run.error).toMatchObject({ code: "HOOK_FAILED", shardId: SHARD, cause });
    expect(store.stored(SHARD)).toEqual(END);
  },
);

test.each(["lost", "forced"] as const)(
  "a shard that was %s during its last record has no end here, however that record ends",
  async (how) => {
    const world = await World.of();
    const store = new RecordingStore(world.clock);
    const group = new ScriptedGroup(store.data);
    const closed: string[] = [];
    let end = (): void => {};
    await world.start(
      { store, group, onShardClosed: (shardId) => closed.push(shardId), start: "TRIM_HORIZON" },
      () => new Promise<void>((resolve) => (end = resolve)),
    );
    await world.put("a", "1");
    await world.split(SHARD);
    const grant = group.grant(SHARD);
    await world.clock.advance(1000);
    if (how === "lost") grant.lose();
    else grant.handOff(1000);
    await world.clock.advance(3000);
    expect(grant.outcome).toMatchObject({ kind: how });
    end();
    await world.clock.advance(3000);
    expect(closed).toEqual([]);
    expect(store.bulkWrites).toEqual([]);
  },
);

test("a shard that ages out while it is read is reported, and the others go on", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const slowly = { discoveryIntervalMs: 100 * HOUR, scanIntervalMs: 200_000 };
  const run = await world.start(slowly, ({ shardId }) =>
    shardId === SHARD ? stuck.opened : undefined,
  );
  for (const text of ["in hand", "read ahead", "read ahead too"]) {
    await world.put("a", text);
    await world.clock.advance(200_000);
  }
  await world.put("a", "never read");
  await world.split(SHARD);
  await world.clock.advance(26 * HOUR);
  stuck.open();
  await world.clock.advance(200_000);
  await world.put("a", "in the child");
  await world.put("b", "elsewhere");
  await world.clock.advance(200_000);
  expect(run.texts.toSorted()).toEqual([
    "elsewhere",
    "in hand",
    "in the child",
    "read ahead",
    "read ahead too",
  ]);
  expect(run.settled).toBeUndefined();
  expect(world.counter.total("trimmed")).toBe(1);
  expect(world.logger.find("error", /retention removed it/)).toHaveLength(1);
});

test("a reply without a next iterator on an open shard is no end: reading goes on where it stopped", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const closed: string[] = [];
  let breaks = 3;
  const client = {
    send: async (command: GetRecordsCommand, options?: { abortSignal?: AbortSignal }) => {
      const output = await world.kinesis.send(command, options);
      if (!("NextShardIterator" in output) || breaks === 0) return output;
      breaks -= 1;
      return { ...output, NextShardIterator: undefined };
    },
  };
  const run = await world.start({ client, store, onShardClosed: (id) => closed.push(id) });
  await world.put("a", "1");
  await world.clock.advance(1000);
  await world.put("a", "2");
  await world.clock.advance(1000);
  expect(breaks).toBe(0);
  expect(run.texts).toEqual(["1", "2"]);
  expect(closed).toEqual([]);
  expect(world.logger.find("warn", /the shard is open/)).toHaveLength(3);
});

test("an open shard is not ended by one listing that misses it", async () => {
  const world = await World.of();
  let isCut = true;
  let isMissed = true;
  const client: KinesisClientLike = {
    send: async (command, options) => {
      const output = await world.kinesis.send(command, options);
      if ("NextShardIterator" in output && isCut) {
        isCut = false;
        return { ...output, NextShardIterator: undefined };
      }
      if (!("Shards" in output) || isCut || !isMissed) return output;
      isMissed = false;
      return { ...output, Shards: [] };
    },
  };
  const run = await world.start({ client, start: "TRIM_HORIZON" });
  await world.put("a", "1");
  await world.clock.advance(10_000);
  expect([isCut, isMissed]).toEqual([false, false]);
  expect(run.texts).toEqual(["1"]);
});
