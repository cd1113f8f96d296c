import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import { gate, keyOf, taking } from "./support/calls.ts";
import { FreezingClock } from "./support/freezing-clock.ts";
import { World } from "./support/world.ts";

const MIB = 2 ** 20;

test.each([
  [400, 150],
  [1000, 50],
  [1000, 100],
  [5000, 5],
  [5000, 50],
] as const)(
  "%i shards at %i ms a call: each is polled once within two calls of it, 40 at a time",
  async (shards, ms) => {
    const world = await World.of({ shards });
    const at = { first: NaN, polled: 0, all: NaN };
    const polled = new Set<unknown>();
    const client = {
      send: async (command: object, options?: { abortSignal?: AbortSignal }) => {
        if (command instanceof GetShardIteratorCommand) {
          if (Number.isNaN(at.first)) at.first = world.clock.monotonic();
        }
        await later(world, ms);
        const output = await world.kinesis.send(command as GetRecordsCommand, options);
        if (command instanceof GetRecordsCommand) {
          polled.add(shardOf(command.input.ShardIterator));
          if (polled.size === shards && Number.isNaN(at.all)) at.all = world.clock.monotonic();
        }
        return output;
      },
    };
    // Its record must not wait for all the other shards' iterators.
    await world.put(keyOf(0, shards), "early");
    const run = await world.start({ client, start: "TRIM_HORIZON" });
    while (Number.isNaN(at.first)) await world.clock.advance(ms);
    await world.clock.advance(4 * ms);
    expect(run.texts).toEqual(["early"]);
    await world.clock.advance((2 * shards * ms) / 40);

    expect(at.all - at.first).toBeLessThanOrEqual((2 * shards * ms) / 40);
  },
);

test("1,000 shards at 100 ms a call are polled as often as the calls allow, busy ones first, and that is reported", async () => {
  const shards = 1000;
  const world = await World.of({ shards });
  const delays: number[] = [];
  const run = await world.start({ client: slow(world, 100), start: "TRIM_HORIZON" }, (record) => {
    delays.push(world.clock.now() - Number(record.text()));
  });
  await world.clock.advance(10_000);
  world.kinesis.resetCalls();
  for (let i = 0; i < 50; i += 1) {
    await world.put(keyOf(7, shards), `${world.clock.now()}`);
    await world.clock.advance(200);
  }
  const perSecond = world.kinesis.countOf("GetRecords") / 10;
  expect(perSecond).toBeGreaterThan(300);
  expect(Math.max(...delays.slice(25))).toBeLessThan(700);
  expect(run.consumer.status().pollDelayMs).toBeGreaterThan(1000);
  expect(world.counter.gauge("poll_delay")[""]).toBeGreaterThan(1000);
  await world.clock.advance(30_000);
  expect(world.logger.find("warn", /polled later than their intervals say/)).toHaveLength(1);
});

test("shards that the calls suffice for are polled at their intervals, and nothing is reported", async () => {
  const world = await World.of({ shards: 100 });
  const run = await world.start({ client: slow(world, 50) });
  await world.clock.advance(40_000);
  expect(run.consumer.status().pollDelayMs).toBeLessThan(50);
  expect(world.logger.find("warn", /polled later/)).toHaveLength(0);
});

test("once a network that stood still for 25 s goes on, idle shards are polled as before", async () => {
  const shards = 40;
  const world = await World.of({ shards });
  let ms = 20;
  const client = {
    send: async (command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown> => {
      await later(world, ms);
      return world.kinesis.send(command as GetRecordsCommand, options);
    },
  };
  const delays: number[] = [];
  const run = await world.start({ client }, (record) => {
    delays.push(world.clock.now() - Number(record.text()));
  });
  await world.clock.advance(10_000);
  ms = 25_000;
  await world.clock.advance(1000);
  ms = 20;
  await world.clock.advance(25_000);
  for (let i = 0; i < shards; i += 1) {
    await world.put(keyOf(i, shards), `${world.clock.now()}`);
    await world.clock.advance(200);
  }
  await world.clock.advance(60_000);

  expect(run.records).toHaveLength(shards);
  expect(Math.max(...delays)).toBeLessThan(500);
});

test("once a process that stood still for 25 s goes on, 1,000 shards are polled as fast as the calls allow", async () => {
  const shards = 1000;
  const world = await World.of({ shards });
  const clock = new FreezingClock(world.clock);
  const polled = new Set<unknown>();
  const client = {
    send: async (command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown> => {
      if (command instanceof GetRecordsCommand) polled.add(shardOf(command.input.ShardIterator));
      await new Promise<void>((resolve) => void clock.setTimer(resolve, 100));
      return world.kinesis.send(command as GetRecordsCommand, options);
    },
  };
  await world.start({ client, clock });
  await world.clock.advance(30_000);
  clock.freeze(25_000);
  polled.clear();
  // 40 calls at a time, of 100 ms each.
  await world.clock.advance(2600);

  expect(polled.size).toBe(shards);
});

test.each([
  [100, 60],
  [400, 200],
] as const)("of %i shards %i hang: the others are read as before", async (shards, hung) => {
  const world = await World.of({ shards });
  const delays: { shard: number; ms: number }[] = [];
  const run = await world.start({ client: slow(world, 20), start: "TRIM_HORIZON" }, (record) => {
    const shard = Number(record.shardId.slice(-6));
    delays.push({ shard, ms: world.clock.now() - Number(record.text()) });
  });
  const keys = Array.from({ length: shards }, (_, index) => keyOf(index, shards));
  const produce = async (seconds: number): Promise<number> => {
    delays.length = 0;
    for (let i = 0; i < seconds * 5; i += 1) {
      for (let shard = hung + (i % 5); shard < shards; shard += 5) {
        await world.put(keys[shard]!, `${world.clock.now()}`);
      }
      await world.clock.advance(200);
    }
    const sorted = delays.filter(({ shard }) => shard >= hung).map(({ ms }) => ms);
    sorted.sort((a, b) => a - b);
    return sorted[Math.floor(0.99 * (sorted.length - 1))]!;
  };
  await world.clock.advance(2000);
  const before = await produce(10);
  world.kinesis.faults.hang({
    operation: "GetRecords",
    times: Infinity,
    where: (input) => Number(shardOf(input["ShardIterator"])?.slice(-6)) < hung,
  });
  expect(await produce(30)).toBeLessThanOrEqual(2 * before);

  // Once it is over, those that hung are soon read again.
  world.kinesis.faults.clear();
  await world.clock.advance(60_000);
  const { shards: status } = run.consumer.status();
  expect(status.filter(({ sinceLastPollMs }) => sinceLastPollMs! > 5000)).toEqual([]);
});

test("a shard whose pages do not come in time is asked for smaller ones", async () => {
  const world = await World.of({ quotas: { reads: false, writes: false } });
  for (let i = 0; i < 24; i += 1) await world.put("a", "x".repeat(1_000_000));
  const client = {
    send: async (command: object, options?: { abortSignal?: AbortSignal }) => {
      const output = await world.kinesis.send(command as GetRecordsCommand, options);
      const records = "Records" in output ? (output.Records ?? []) : [];
      const bytes = records.reduce((sum, { Data }) => sum + Data!.byteLength, 0);
      // 250 KB a second.
      await later(world, bytes / 250);
      return output;
    },
  };
  const run = await world.start({ client, start: "TRIM_HORIZON" });
  await world.clock.advance(10 * 60_000);

  expect(run.records).toHaveLength(24);
});

test("with a small share of the quota an iterator is made when the poll's turn has come", async () => {
  const world = await World.of();
  await world.put("a", "1", "2", "3");
  const run = await world.start({ start: "TRIM_HORIZON", readShare: 0.0006, maxRecords: 2 });
  await world.clock.advance(3600_000);

  expect(run.texts).toEqual(["1", "2", "3"]);
});

test("a stop is not held up by those that wait in the line of calls", async () => {
  const world = await World.of({ shards: 200 });
  world.kinesis.faults.hang({ operation: "GetRecords", times: Infinity });
  const run = await world.start();
  await world.clock.advance(100);
  run.abort();
  await world.clock.advance(0);

  expect(run.settled).toEqual({ error: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test("memory is bounded with 40 calls in flight, after empty pages too", async () => {
  const shards = 40;
  const world = await World.of({ shards, quotas: { reads: false, writes: false } });
  const run = await world.start(
    { client: slow(world, 50), maxBufferedBytes: 16 * MIB },
    taking(world, 30),
  );
  await world.clock.advance(5000);
  const megabyte = "x".repeat(MIB - 1000);
  for (let shard = 0; shard < shards; shard += 1) {
    for (let i = 0; i < 5; i += 1) await world.put(keyOf(shard, shards), megabyte);
  }
  let most = 0;
  for (let i = 0; i < 3000 && run.records.length < 5 * shards; i += 1) {
    await world.clock.advance(10);
    const status = run.consumer.status();
    const records = status.shards.reduce((sum, { recordsInFlight }) => sum + recordsInFlight, 0);
    most = Math.max(most, status.bufferedBytes, records * megabyte.length);
  }
  expect(run.records).toHaveLength(5 * shards);
  expect(most).toBeGreaterThan(8 * MIB);
  expect(most).toBeLessThanOrEqual(17 * MIB);
});

test.each([
  [10, 8, undefined],
  [6, 3, 16 * MIB],
] as const)(
  "of %i shards with large pages the handlers of %i are stuck: the others go on",
  async (shards, stuck, maxBufferedBytes) => {
    const world = await World.of({ shards, quotas: { reads: false, writes: false } });
    const megabyte = "x".repeat(1_000_000);
    for (let shard = 0; shard < shards; shard += 1) {
      for (let i = 0; i < 20; i += 1) await world.put(keyOf(shard, shards), megabyte);
    }
    const run = await world.start(
      { start: "TRIM_HORIZON", ...(maxBufferedBytes && { maxBufferedBytes }) },
      ({ shardId }) =>
        Number(shardId.slice(-6)) < stuck ? new Promise<void>(() => {}) : undefined,
    );
    let most = 0;
    for (let i = 0; i < 600; i += 1) {
      await world.clock.advance(200);
      most = Math.max(most, run.consumer.status().bufferedBytes);
    }
    const healthy = run.records.filter(({ shardId }) => Number(shardId.slice(-6)) >= stuck);
    expect(healthy).toHaveLength(20 * (shards - stuck));
    expect(most).toBeLessThanOrEqual((maxBufferedBytes ?? 64 * MIB) + MIB);
  },
);

test("what was read ahead of a stuck handler and given up comes again, once and in order", async () => {
  const shards = 6;
  const world = await World.of({ shards, quotas: { reads: false, writes: false } });
  const half = "x".repeat(500_000);
  const put = async (...of: number[]): Promise<void> => {
    for (const shard of of) {
      for (let i = 0; i < 20; i += 1) await world.put(keyOf(shard, shards), `${i} ${half}`);
    }
  };
  const stuck = gate();
  const run = await world.start(
    { start: "TRIM_HORIZON", maxBufferedBytes: 16 * MIB, maxRecords: 4 },
    ({ shardId }) => (Number(shardId.slice(-6)) < 5 ? stuck.opened : undefined),
  );
  await put(0, 1);
  await world.clock.advance(5000);
  await put(2, 3, 4, 5);
  await world.clock.advance(60_000);
  const of = (shard: number): number[] =>
    run.records
      .filter(({ shardId }) => Number(shardId.slice(-6)) === shard)
      .map((record) => Number(record.text().split(" ")[0]));
  const all = Array.from({ length: 20 }, (_, i) => i);
  expect(of(5)).toEqual(all);
  expect(world.iteratorTypes()).toHaveLength(shards);

  stuck.open();
  await world.clock.advance(60_000);
  expect(Array.from({ length: shards }, (_, shard) => of(shard))).toEqual(
    Array.from({ length: shards }, () => all),
  );
  expect(world.iteratorTypes().slice(shards)).toEqual(["AT_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER"]);
});

/** A client whose calls take `ms` milliseconds. */
function slow(world: World, ms: number): { send: World["kinesis"]["send"] } {
  const send = async (
    command: object,
    options?: { abortSignal?: AbortSignal },
  ): Promise<unknown> => {
    await later(world, ms);
    return world.kinesis.send(command as GetRecordsCommand, options);
  };
  return { send: send as World["kinesis"]["send"] };
}

function later(world: World, ms: number): Promise<void> {
  return new Promise((resolve) => void world.clock.setTimer(resolve, ms));
}

/** The shard that an iterator is for. */
function shardOf(iterator: unknown): string | undefined {
  return /shardId-\d+/.exec(Buffer.from(String(iterator), "base64").toString())?.[0];
}
