import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  ListShardsCommand,
  PutRecordCommand,
  UpdateStreamRecordDistributionStrategyCommand,
  type DescribeStreamSummaryOutput,
} from "@aws-sdk/client-kinesis";
import type { UserRecord } from "@kc/aggregator";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { MemoryStore, SkipCheckpoint, type Handler, type KinesisClientLike } from "../src/index.ts";
import { aggregateOf, userRecord } from "./support/aggregates.ts";
import { keyOf } from "./support/calls.ts";
import { GroupWorld } from "./support/group-world.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };
const HORIZON = { start: "TRIM_HORIZON" } as const;

/** Puts these user records in one aggregate, whatever their keys are. */
async function put(world: World, key: string, records: readonly UserRecord[]): Promise<string> {
  const { SequenceNumber } = await world.kinesis.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: key, Data: aggregateOf(records) }),
  );
  return SequenceNumber!;
}

const texts = (key: string, ...all: string[]): UserRecord[] =>
  all.map((text) => userRecord(key, text));

test("user records are handled one by one, in order with the others, and the last one is the whole record", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "before");
  const sequenceNumber = await put(world, "a", texts("k", "one", "two", "three"));
  const run = await world.start({ store, ...HORIZON });
  await world.clock.advance(6000);

  expect(run.texts).toEqual(["before", "one", "two", "three"]);
  expect(run.records.slice(1)).toMatchObject(
    [0, 1, 2].map((subSequenceNumber) => ({
      sequenceNumber,
      subSequenceNumber,
      partitionKey: "k",
    })),
  );
  const checkpoint = await store.getCheckpoint(SCOPE, SHARD);
  expect(checkpoint).toEqual({ kind: "position", sequenceNumber });
  expect(world.counter.total("records")).toBe(4);
  expect(world.counter.total("bytes")).toBe("beforeonetwothree".length);
  expect(run.consumer.status().shards[0]).toMatchObject({ recordsInFlight: 0 });
  expect(run.consumer.status().bufferedBytes).toBe(0);
});

test("deaggregate: false leaves an aggregate as it is", async () => {
  const world = await World.of();
  await put(world, "a", texts("k", "one", "two"));
  const run = await world.start({ deaggregate: false, ...HORIZON });
  await world.clock.advance(500);

  expect(run.records.map(({ data }) => Buffer.from(data))).toEqual([
    Buffer.from(aggregateOf(texts("k", "one", "two"))),
  ]);
  expect(run.records[0]).toMatchObject({ aggregated: false, subSequenceNumber: undefined });
});

test("a scan that ends inside an aggregate is continued behind the last user record that was done", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [before] = await world.put("a", "before");
  const sequenceNumber = await put(world, "a", texts("k", "0", "1", "2", "3"));
  await world.put("a", "after");
  const failing: Handler = (record) => {
    if (record.text() === "2") throw new Error("no");
  };
  const first = await world.start({ store, ...HORIZON }, failing);
  await world.clock.advance(1000);
  expect(first.error).toMatchObject({ code: "HANDLER_FAILED" });
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual({
    kind: "position",
    sequenceNumber,
    subSequenceNumber: 1,
    wholeSequenceNumber: before,
  });

  const second = await world.start({ store });
  await world.clock.advance(1000);
  expect(second.texts).toEqual(["2", "3", "after"]);
  expect(world.counter.total("trimmed")).toBe(0);
});

test("a skipped user record does not move the checkpoint, and the last one that is done does", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const sequenceNumber = await put(world, "a", texts("k", "0", "1", "2"));
  const skips: Handler = (record) => (record.text() === "2" ? SkipCheckpoint : undefined);
  const run = await world.start({ store, ...HORIZON }, skips);
  await world.clock.advance(6000);
  await run.stop();

  expect(await store.getCheckpoint(SCOPE, SHARD)).toMatchObject({
    sequenceNumber,
    subSequenceNumber: 1,
  });
  const again = await world.start({ store });
  await world.clock.advance(1000);
  expect(again.texts).toEqual(["2"]);
});

test("a checkpoint inside what is no aggregate delivers that record again, and is no loss", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [sequenceNumber] = await world.put("a", "one record", "after");
  const checkpoint = {
    kind: "position",
    sequenceNumber: sequenceNumber!,
    subSequenceNumber: 3,
  } as const;
  await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });
  const run = await world.start({ store });
  await world.clock.advance(500);
  expect(run.texts).toEqual(["one record", "after"]);
});

test("an iterator that expires while an aggregate is handled neither repeats nor loses a user record", async () => {
  const world = await World.of();
  await put(world, "a", texts("k", "0", "1", "2"));
  const slow: Handler = () => sleep(world.clock, 200_000);
  const run = await world.start({ ...HORIZON, scanIntervalMs: 60_000 }, slow);
  await world.clock.advance(100_000);
  await put(world, "a", texts("k", "3", "4"));
  await world.clock.advance(1_500_000);
  expect(run.texts).toEqual(["0", "1", "2", "3", "4"]);
});

test("records in flight are those of the aggregate in hand, and one for each that waits", async () => {
  const world = await World.of();
  await put(world, "a", texts("k", "0", "1", "2", "3", "4"));
  await put(world, "a", texts("k", "5", "6"));
  const run = await world.start(HORIZON, () => sleep(world.clock, 1000));
  await world.clock.advance(1500);
  // Three of the first, with the one in hand, and the second.
  expect(run.texts).toEqual(["0", "1"]);
  expect(run.consumer.status().shards[0]).toMatchObject({ recordsInFlight: 5 });
  expect(run.consumer.status().bufferedBytes).toBeGreaterThan(0);
  await world.clock.advance(10_000);
  expect(run.consumer.status()).toMatchObject({ bufferedBytes: 0 });
});

/** A stream of two shards whose first one, after a split, gets an aggregate for both halves. */
async function aggregateForTwo(): Promise<{ world: World; here: string; there: string }> {
  const world = await World.of({ shards: 2 });
  return { world, here: keyOf(0, 2), there: keyOf(1, 2) };
}

test("user records of other shards are left out, counted, and reported once with what to do", async () => {
  const { world, here, there } = await aggregateForTwo();
  await put(world, here, [
    ...texts(there, "foreign"),
    ...texts(here, "own"),
    ...texts(there, "foreign"),
  ]);
  await put(world, here, texts(there, "all", "foreign"));
  const [last] = await world.put(here, "after");
  const store = new MemoryStore();
  const run = await world.start({ store, ...HORIZON });
  await world.clock.advance(6000);

  expect(run.texts).toEqual(["own", "after"]);
  const counted = (outcome: string): number =>
    world.counter.total("out_of_range_records", { ...SOURCE, shardId: SHARD, outcome });
  expect(counted("left-out")).toBe(4);
  expect(counted("delivered")).toBe(0);
  expect(world.logger.find("warn", /left out.*deaggregate: "all"/)).toHaveLength(1);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toMatchObject({ sequenceNumber: last });
});

const SOURCE = { stream: STREAM, application: "billing" };

test("the last user record of the shard is the whole record, whatever follows it", async () => {
  const { world, here, there } = await aggregateForTwo();
  const sequenceNumber = await put(world, here, [
    ...texts(here, "own"),
    ...texts(there, "foreign"),
  ]);
  const store = new MemoryStore();
  await world.start({ store, ...HORIZON });
  await world.clock.advance(6000);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual({ kind: "position", sequenceNumber });
});

test(`deaggregate: "all" delivers user records of other shards, and counts them`, async () => {
  const { world, here, there } = await aggregateForTwo();
  await put(world, here, [...texts(there, "foreign"), ...texts(here, "own")]);
  const run = await world.start({ deaggregate: "all", ...HORIZON });
  await world.clock.advance(500);
  expect(run.texts).toEqual(["foreign", "own"]);
  const counted = { ...SOURCE, shardId: SHARD, outcome: "delivered" };
  expect(world.counter.total("out_of_range_records", counted)).toBe(1);
});

async function onDemand(distribution: "AUTO" | "USER_PARTITION_KEY"): Promise<World> {
  const world = await World.of();
  await world.kinesis.send(
    new CreateStreamCommand({
      StreamName: "clicks",
      StreamModeDetails: { StreamMode: "ON_DEMAND" },
      RecordDistributionStrategy: distribution,
    }),
  );
  await world.clock.advance(60_000);
  return world;
}

const click = (world: World, Data: Uint8Array, PartitionKey?: string): Promise<unknown> =>
  world.kinesis.send(new PutRecordCommand({ StreamName: "clicks", Data, PartitionKey }));

const ALL_KEYS = Array.from({ length: 4 }, (_, i) => userRecord(keyOf(i, 4), `for ${i}`));

test("where keys do not decide the shard, every user record is delivered wherever it comes", async () => {
  const world = await onDemand("AUTO");
  await click(world, aggregateOf(ALL_KEYS));
  const run = await world.start({ stream: "clicks", ...HORIZON });
  await world.clock.advance(500);
  expect(run.texts).toEqual(["for 0", "for 1", "for 2", "for 3"]);
  expect(world.counter.total("out_of_range_records")).toBe(3);
});

test("a stream whose distribution is switched under a scan loses no user record", async () => {
  const world = await onDemand("USER_PARTITION_KEY");
  const run = await world.start({ stream: "clicks", scanIntervalMs: 10_000, ...HORIZON });
  await world.clock.advance(61_000);
  await world.kinesis.send(
    new UpdateStreamRecordDistributionStrategyCommand({
      StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/clicks",
      RecordDistributionStrategy: "AUTO",
    }),
  );
  await world.clock.advance(60_000);
  for (let i = 0; i < 8; i += 1) {
    await click(world, aggregateOf(ALL_KEYS));
    await world.clock.advance(20_000);
  }
  expect(run.texts).toHaveLength(32);
});

test("a switch right after a description is known ten seconds later", async () => {
  const world = await onDemand("USER_PARTITION_KEY");
  const run = await world.start({ stream: "clicks", ...HORIZON });
  await world.kinesis.send(
    new UpdateStreamRecordDistributionStrategyCommand({
      StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/clicks",
      RecordDistributionStrategy: "AUTO",
    }),
  );
  for (let second = 0; second < 40; second += 1) {
    if (second === 12) run.records.length = 0;
    await click(world, aggregateOf(ALL_KEYS));
    await world.clock.advance(1000);
  }
  expect(run.texts).toHaveLength(28 * ALL_KEYS.length);
});

test("where the SDK does not know the strategy of an on-demand stream, every user record is delivered", async () => {
  const world = await onDemand("AUTO");
  await click(world, aggregateOf(ALL_KEYS));
  const older: KinesisClientLike = {
    async send(command: never, options) {
      const output = await world.kinesis.send(command, options);
      if (!((command as object) instanceof DescribeStreamSummaryCommand)) return output;
      const { StreamDescriptionSummary } = output as unknown as DescribeStreamSummaryOutput;
      const { RecordDistributionStrategy: _, ...summary } = StreamDescriptionSummary!;
      return { StreamDescriptionSummary: summary };
    },
  };
  const run = await world.start({ stream: "clicks", client: older, ...HORIZON });
  await world.clock.advance(500);
  expect(run.texts).toEqual(["for 0", "for 1", "for 2", "for 3"]);
});

test.each(["AccessDeniedException", "LimitExceededException", "no reply"] as const)(
  "a stream that cannot be described is read, with user records of other shards: %s",
  async (fault) => {
    const { world, here, there } = await aggregateForTwo();
    const run = await world.start(HORIZON);
    await world.clock.advance(61_000);
    const target = { operation: "DescribeStreamSummary", times: Infinity } as const;
    if (fault === "no reply") world.kinesis.faults.hang(target);
    else world.kinesis.faults.fail({ ...target, error: fault });
    world.kinesis.resetCalls();
    for (let i = 0; i < 12; i += 1) {
      await put(world, here, [...texts(here, "own"), ...texts(there, "foreign")]);
      await put(world, there, [...texts(there, "own"), ...texts(here, "foreign")]);
      await world.clock.advance(10_000);
    }
    expect(run.texts).toHaveLength(12 * 4);
    expect(run.consumer.health()).toMatchObject({ ready: true });
    expect(world.kinesis.countOf("DescribeStreamSummary")).toBeLessThanOrEqual(12);
  },
);

test("a description that is too old is made again before user records are left out", async () => {
  const world = await onDemand("USER_PARTITION_KEY");
  const run = await world.start({ stream: "clicks", ...HORIZON });
  await world.clock.advance(61_000);
  for (let i = 0; i < 3; i += 1) {
    await click(world, aggregateOf(ALL_KEYS), keyOf(0, 4));
    await world.clock.advance(1000);
  }
  const described = world.kinesis.calls.filter(
    ({ operation }) => operation === "DescribeStreamSummary",
  );
  expect(described).toHaveLength(2);
  expect(run.texts).toEqual(["for 0", "for 1", "for 2", "for 3", "for 0", "for 0"]);
});

test("polls that are seldom know the distribution, too, once there were user records of other shards", async () => {
  const { world, here, there } = await aggregateForTwo();
  const run = await world.start({ scanIntervalMs: 30_000, ...HORIZON });
  for (let i = 0; i < 6; i += 1) {
    await world.clock.advance(30_000);
    await put(world, here, [...texts(here, "own"), ...texts(there, "foreign")]);
  }
  await world.clock.advance(60_000);
  expect(run.texts).toEqual(["own", "foreign", "own", "own", "own", "own", "own"]);
});

test("a record that was put without a partition key has none", async () => {
  const world = await onDemand("AUTO");
  await click(world, Buffer.from("without"));
  await click(world, Buffer.from("with"), "key");
  const run = await world.start({ stream: "clicks", ...HORIZON });
  await world.clock.advance(500);
  const keys = run.records.map((record) => [record.text(), record.partitionKey]);
  expect(Object.fromEntries(keys)).toEqual({ without: undefined, with: "key" });
});

test("a hand-off inside an aggregate goes on in the other worker behind the last that was done", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  const { clock } = world;
  const keys = [keyOf(0, 2), keyOf(1, 2)];
  for (const key of keys) {
    await put(world, key, texts(key, ...Array.from({ length: 20 }, (_, i) => `${key} ${i}`)));
  }
  const handled: string[] = [];
  const slow: Handler = async (record) => {
    await sleep(clock, 1000);
    handled.push(record.text());
  };
  await group.join("a", { consumer: HORIZON }, slow);
  await clock.advance(4500);
  await group.join("b", { consumer: HORIZON }, slow);
  await clock.advance(60_000);

  expect(group.members.map(({ reads }) => reads.length)).toEqual([1, 1]);
  for (const key of keys) {
    const expected = Array.from({ length: 20 }, (_, i) => `${key} ${i}`);
    expect(handled.filter((text) => text.startsWith(`${key} `))).toEqual(expected);
  }
});

test("a worker that never lists the shards names the number that a shard begins with, too", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world, data } = group;
  const stops: Handler = async (record) => {
    if (record.text() === "1") await sleep(world.clock, 60_000);
  };
  await group.join("a", { consumer: HORIZON }, stops);
  const b = await group.join("b", { consumer: HORIZON }, stops);
  await world.clock.advance(5000);
  world.kinesis.resetCalls();
  const key = keyOf(Number(b.reads[0]), 2);
  await put(world, key, texts(key, "0", "1"));
  await world.clock.advance(5000);

  expect(world.kinesis.countOf("ListShards")).toBe(0);
  const { Shards } = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  const { ShardId, SequenceNumberRange: range } = Shards!.find(({ ShardId: id }) =>
    id!.endsWith(b.reads[0]!),
  )!;
  expect(data.shard(SCOPE, ShardId!).checkpoint).toMatchObject({
    subSequenceNumber: 0,
    wholeSequenceNumber: range!.StartingSequenceNumber,
  });
});

test("a worker that dies inside an aggregate repeats no more than what was not flushed", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const { clock } = world;
  const all = Array.from({ length: 30 }, (_, i) => `${i}`);
  await put(world, "a", texts("a", ...all));
  const handled = { a: [] as number[], b: [] as number[] };
  const slowly =
    (worker: "a" | "b"): Handler =>
    async (record) => {
      await sleep(clock, 1000);
      handled[worker].push(record.subSequenceNumber!);
    };
  const consumer = { ...HORIZON, flushIntervalMs: 3000 };
  const a = await group.join("a", { consumer }, slowly("a"));
  await clock.advance(11_500);
  a.link.state = "hangs";
  const store = new MemoryStore({ data: group.data });
  const flushed = await store.getCheckpoint(SCOPE, SHARD);
  await group.join("b", { consumer }, slowly("b"));
  await clock.advance(120_000);

  expect(flushed).toMatchObject({ subSequenceNumber: expect.any(Number) });
  const first = (flushed as { subSequenceNumber: number }).subSequenceNumber + 1;
  expect(handled.b).toEqual(Array.from({ length: 30 - first }, (_, i) => first + i));
  expect(handled.a.slice(0, first)).toEqual(Array.from({ length: first }, (_, i) => i));
});

test("a user record that fails, that is tried again and that is given up is named, and not its aggregate", async () => {
  const world = await World.of();
  const sequenceNumber = await put(world, "a", texts("k", "0", "1", "2"));
  const failing: Handler = (record) => {
    if (record.text() === "1") throw new Error("no");
  };
  for (const delivery of [{}, { concurrency: 2 }]) {
    const { error } = await world.start(HORIZON, failing, delivery).then(async (run) => {
      await world.clock.advance(1000);
      return run;
    });
    expect((error as Error).message).toContain(`the handler failed at ${sequenceNumber}.1: Error`);
  }
  const retry = { maxAttempts: 2, minDelayMs: 10 };
  await world.start(HORIZON, failing, { retry, onFailure: "skip" });
  await world.clock.advance(6000);
  const named = { sequenceNumber, subSequenceNumber: 1 };
  for (const [level, message] of [
    ["debug", /tried again/],
    ["warn", /a record is skipped/],
  ] as const) {
    expect(world.logger.find(level, message)).toMatchObject([{ fields: named }]);
  }
});

test("in batches too the last user record is the whole record", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const sequenceNumber = await put(world, "a", texts("k", "one", "two", "three"));
  const run = await world.runBatches(world.consumer({ store, ...HORIZON }), () => {});
  await world.clock.advance(1000);
  await run.stop();
  const checkpoint = await store.getCheckpoint(SCOPE, SHARD);
  expect(checkpoint).toEqual({ kind: "position", sequenceNumber });
});

test("a checkpoint inside an aggregate names the last whole record: the shard's first number before there is one", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const stops =
    (at: string): Handler =>
    (record) => {
      if (record.text() === at) throw new Error("no");
    };
  const stored = async (): Promise<unknown> => {
    const checkpoint = await store.getCheckpoint(SCOPE, SHARD);
    return (checkpoint as { readonly wholeSequenceNumber?: string }).wholeSequenceNumber;
  };
  const { Shards } = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  const first = await put(world, "a", texts("k", "0", "1", "2", "3"));
  await put(world, "a", texts("k", "4", "5", "6"));
  const wholes: unknown[] = [];
  for (const at of ["1", "3", "5", "6"]) {
    await world.start({ store, ...HORIZON }, stops(at));
    await world.clock.advance(1000);
    wholes.push(await stored());
  }
  const begin = Shards![0]!.SequenceNumberRange!.StartingSequenceNumber;
  expect(wholes).toEqual([begin, begin, first, first]);
});
