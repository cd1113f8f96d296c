import {
  DecreaseStreamRetentionPeriodCommand,
  DescribeStreamSummaryCommand,
  IncreaseStreamRetentionPeriodCommand,
  type GetRecordsOutput,
} from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryDeadLetterQueue, type KinesisClientLike } from "../src/index.ts";
import { workStatus } from "../src/scan/work-status.ts";
import { gate } from "./support/calls.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { STREAM, World } from "./support/world.ts";

const [SHARD, OTHER] = ["shardId-000000000000", "shardId-000000000001"];
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Polls are seldom, so that minutes of the clock cost little. */
const SELDOM = { scanIntervalMs: 10_000 };
const EARLIEST = { ...SELDOM, start: "TRIM_HORIZON" } as const;

/** A service that reports this retention, whatever it is. */
function reporting(world: World, hours: unknown): KinesisClientLike {
  return {
    async send(command: never, options) {
      const output = await world.kinesis.send(command, options);
      if (!((command as object) instanceof DescribeStreamSummaryCommand)) return output;
      const { StreamDescriptionSummary: summary } = output as unknown as {
        StreamDescriptionSummary: object;
      };
      return { StreamDescriptionSummary: { ...summary, RetentionPeriodHours: hours } };
    },
  };
}

function setRetention(world: World, hours: number): Promise<unknown> {
  const input = { StreamName: STREAM, RetentionPeriodHours: hours };
  return world.kinesis.send(
    hours > 24
      ? new IncreaseStreamRetentionPeriodCommand(input)
      : new DecreaseStreamRetentionPeriodCommand(input),
  );
}

/** How often the stream is described from now on. */
function countDescribes(world: World): () => number {
  let calls = 0;
  world.kinesis.faults.delay({
    operation: "DescribeStreamSummary",
    times: Infinity,
    where: () => (calls += 1) < 0,
    ms: 1,
  });
  return () => calls;
}

describe("the retention headroom of a shard", () => {
  test("is its retention less the age of the record in hand, whatever its page's lag is", async () => {
    const world = await World.of();
    for (let i = 0; i < 10; i += 1) {
      await world.put("a", `${i}`);
      await world.clock.advance(HOUR);
    }
    const [first, second] = [gate(), gate()];
    const consumer = world.consumer(EARLIEST);
    await world.run(consumer, (record) =>
      record.text() === "0" ? first.opened : record.text() === "4" ? second.opened : undefined,
    );
    await world.clock.advance(MINUTE);
    const headroom = (): number => consumer.status().shards[0]!.retentionHeadroomMs! / HOUR;
    expect(consumer.status().shards[0]!.lagMs).toBeLessThan(2 * MINUTE);
    expect(headroom()).toBeCloseTo(14, 1);
    first.open();
    await world.clock.advance(MINUTE);
    expect(headroom()).toBeCloseTo(18, 1);
    second.open();
    await world.clock.advance(MINUTE);
    expect(headroom()).toBe(24);
  });

  test.each([undefined, new Date(0), new Date(1_700_000_000)])(
    "is its retention less its lag where records have no time of arrival: %s",
    async (ApproximateArrivalTimestamp) => {
      const world = await World.of();
      await world.put("a", "1");
      const client: KinesisClientLike = {
        async send(command: never, options) {
          const output = await world.kinesis.send(command, options);
          const { Records } = output as unknown as GetRecordsOutput;
          if (Records === undefined) return output;
          return {
            ...(output as object),
            Records: Records.map((record) => ({ ...record, ApproximateArrivalTimestamp })),
          };
        },
      };
      const stuck = gate();
      const consumer = world.consumer({ ...EARLIEST, client });
      await world.run(consumer, () => stuck.opened);
      await world.clock.advance(MINUTE);
      const { lagMs, retentionHeadroomMs } = consumer.status().shards[0]!;
      expect(retentionHeadroomMs).toBe(DAY - lagMs);
      stuck.open();
    },
  );

  test("shrinks while a handler is stuck, and is full where all is read", async () => {
    const world = await World.of({ shards: 2 });
    const stuck = gate();
    const consumer = world.consumer({ ...EARLIEST, client: reporting(world, 0.1) });
    await world.run(consumer, ({ shardId }) => (shardId === SHARD ? stuck.opened : undefined));
    await world.put("a", "1");
    await world.clock.advance(5 * MINUTE);

    const full = 6 * MINUTE;
    const [shard, other] = consumer.status().shards;
    expect(shard!.lagMs).toBeGreaterThan(4.7 * MINUTE);
    expect(shard!.retentionHeadroomMs).toBe(full - 5 * MINUTE);
    expect(other).toMatchObject({ shardId: OTHER, lagMs: 0, retentionHeadroomMs: full });
    const gauge = world.counter.gauge("retention_headroom");
    expect(gauge[SHARD]).toBeLessThan(1.3 * MINUTE);
    expect(gauge[OTHER]).toBe(full);

    await world.clock.advance(2 * MINUTE);
    expect(consumer.status().shards[0]!.retentionHeadroomMs).toBe(0);
    expect(world.counter.gauge("retention_headroom")[SHARD]).toBe(0);
    stuck.open();
    await world.clock.advance(20_000);
    expect(consumer.status().shards[0]!.retentionHeadroomMs).toBe(full);
  });

  test("makes a consumer unready below the threshold of health(), which has none by default", async () => {
    const world = await World.of({ shards: 2 });
    const stuck = gate();
    const consumer = world.consumer(EARLIEST);
    await world.run(consumer, ({ shardId }) => (shardId === SHARD ? stuck.opened : undefined));
    await world.put("a", "1");
    await world.clock.advance(2 * MINUTE);

    expect(consumer.health()).toMatchObject({ ready: true, expiringShards: [] });
    expect(consumer.health({ retentionHeadroomBelowMs: DAY - 3 * MINUTE }).ready).toBe(true);
    expect(consumer.health({ retentionHeadroomBelowMs: DAY - MINUTE })).toMatchObject({
      alive: true,
      ready: false,
      reasons: [`the retention of unread records is nearly over: ${SHARD}`],
      expiringShards: [SHARD],
    });
    stuck.open();
  });

  test("is not known before the first reply, nor where the service does not report its retention", async () => {
    const world = await World.of();
    const threshold = { retentionHeadroomBelowMs: Infinity };
    const lift = world.kinesis.faults.hang({ operation: "GetRecords", times: 1 });
    const consumer = world.consumer(EARLIEST);
    const run = await world.run(consumer);
    await world.clock.advance(5000);
    expect(consumer.status().shards).toMatchObject([{ retentionHeadroomMs: undefined }]);
    expect(consumer.health(threshold).expiringShards).toEqual([]);
    expect(world.counter.gauge("retention_headroom")).toEqual({});
    lift();
    await world.clock.advance(40_000);
    expect(world.counter.gauge("retention_headroom")).toEqual({ [SHARD]: DAY });
    await run.stop();

    for (const hours of [undefined, null, 0, -1, Number.NaN, Infinity, "24", true]) {
      const counter = new MemoryCounter();
      const client = reporting(world, hours);
      const silent = world.consumer({ ...EARLIEST, client, counter });
      const silentRun = await world.run(silent);
      await world.clock.advance(2000);
      expect(silent.status().shards, String(hours)).toMatchObject([
        { retentionHeadroomMs: undefined },
      ]);
      expect(counter.gauge("lag"), String(hours)).toEqual({ [SHARD]: 0 });
      expect(counter.gauge("retention_headroom"), String(hours)).toEqual({});
      await silentRun.stop();
    }
  });

  test("of shards that share one series is the least, and ends with the last of them", async () => {
    const world = await World.of({ shards: 2 });
    const counter = new MemoryCounter({ perShard: false });
    const stuck = gate();
    const run = await world.start({ ...EARLIEST, counter }, ({ shardId }) =>
      shardId === SHARD ? stuck.opened : undefined,
    );
    await world.put("a", "1");
    await world.clock.advance(2 * MINUTE);
    const { "": least } = counter.gauge("retention_headroom");
    expect(least).toBeLessThan(DAY - 1.7 * MINUTE);
    expect(least).toBeGreaterThan(DAY - 2.1 * MINUTE);
    stuck.open();
    await run.stop();
    expect(counter.gauge("retention_headroom")).toEqual({});
  });

  test("of shards that share one series is absent while there are none", async () => {
    const world = await World.of();
    const counter = new MemoryCounter({ perShard: false });
    world.kinesis.faults.hang({ operation: "ListShards", times: Infinity });
    await world.start({ counter });
    await world.clock.advance(5000);
    expect(counter.gauge("lag")).toEqual({ "": 0 });
    expect(counter.gauge("retention_headroom")).toEqual({});
  });

  test("is never more than the retention, nor below 0, nor a NaN", () => {
    const ms = fc.integer({ min: 0, max: 40 * DAY });
    const page = fc.record({ millisBehindLatest: ms, receivedAt: ms, arrivalMs: ms });
    const work = fc.record({
      grantedAt: ms,
      step: fc.constantFrom({ kind: "reading" as const }, { kind: "ending" as const }),
      reader: fc.option(fc.record({ lagMs: ms, answered: fc.boolean() }), { nil: undefined }),
      oldest: fc.option(page, { nil: undefined }),
      retentionMs: fc.option(fc.integer({ min: 1, max: 365 * DAY }), { nil: undefined }),
    });
    fc.assert(
      fc.property(work, ({ grantedAt, step, reader, oldest, retentionMs }) => {
        const { lagMs, retentionHeadroomMs } = workStatus(80 * DAY, {
          grantedAt,
          step,
          reader: reader && {
            recordsAhead: 0,
            hasPage: false,
            overdueMs: 0,
            sinceLastPollMs: 0,
            arrivalMs: 0,
            ...reader,
          },
          delivery: {
            state: "idle",
            pausedBy: undefined,
            retry: undefined,
            keysHeldUp: 0,
            handlingForMs: 0,
            recordsInFlight: 0,
            oldest,
            isAtRecord: false,
          },
          retentionMs,
          serviceNowMs: 80 * DAY,
        });
        if (retentionMs === undefined || !reader?.answered) {
          expect(retentionHeadroomMs).toBeUndefined();
          return;
        }
        const arrivalMs = oldest?.arrivalMs ?? 0;
        const ageMs = arrivalMs === 0 ? lagMs : Math.max(lagMs, 80 * DAY - arrivalMs);
        expect(retentionHeadroomMs).toBe(ageMs > retentionMs ? 0 : retentionMs - ageMs);
      }),
    );
  });
});

describe("a stream's retention", () => {
  test("is asked for again every five minutes, once for all shards", async () => {
    const world = await World.of({ shards: 4 });
    const described = countDescribes(world);
    const consumer = world.consumer(SELDOM);
    await world.run(consumer);
    const headrooms = (): unknown[] =>
      consumer.status().shards.map(({ retentionHeadroomMs }) => retentionHeadroomMs! / HOUR);
    await world.clock.advance(2000);
    expect(headrooms()).toEqual([24, 24, 24, 24]);
    await setRetention(world, 168);
    await world.clock.advance(5.5 * MINUTE);
    expect(headrooms()).toEqual([168, 168, 168, 168]);
    await setRetention(world, 24);
    await world.clock.advance(5.5 * MINUTE);
    expect(headrooms()).toEqual([24, 24, 24, 24]);
    await world.clock.advance(20 * MINUTE);
    expect(described()).toBe(1 + 6);
  });

  test.each(["AccessDeniedException", "LimitExceededException", "InternalFailure"] as const)(
    "holds as it was reported last while its description fails: %s",
    async (error) => {
      const world = await World.of();
      const consumer = world.consumer(SELDOM);
      const run = await world.run(consumer);
      await world.clock.advance(2000);
      world.kinesis.faults.fail({ operation: "DescribeStreamSummary", times: Infinity, error });
      await world.clock.advance(16 * MINUTE);
      expect(consumer.status()).toMatchObject({
        state: "running",
        failingCalls: [],
        shards: [{ retentionHeadroomMs: DAY, error: undefined }],
      });
      expect(consumer.health()).toMatchObject({ ready: true });
      expect(world.logger.find("debug", /the description .* was not refreshed/)).toHaveLength(3);
      await world.put("a", "1");
      await world.clock.advance(20_000);
      expect(run.texts).toEqual(["1"]);
    },
  );

  test("is asked for beside the reading, which does not wait for it", async () => {
    const world = await World.of();
    const run = await world.start({ scanIntervalMs: 2000 });
    world.kinesis.faults.hang({ operation: "DescribeStreamSummary", times: Infinity });
    await world.clock.advance(5 * MINUTE + 3000);
    await world.put("a", "1");
    await world.clock.advance(4000);
    expect(run.texts).toEqual(["1"]);
    await run.stop();
    expect(world.logger.find("debug", /was not refreshed/)).toEqual([]);
  });
});

describe("a dead letter", () => {
  const fail = (): never => {
    throw new Error("no");
  };

  test("says until when the stream keeps its record, by the retention of its time", async () => {
    const world = await World.of();
    const queue = new MemoryDeadLetterQueue();
    await world.start(SELDOM, fail, { onFailure: queue });
    await world.put("a", "1");
    await world.clock.advance(20_000);
    await setRetention(world, 168);
    await world.clock.advance(5.5 * MINUTE);
    await world.put("a", "2");
    await world.clock.advance(20_000);
    const { letters } = await queue.list();
    const keptFor = letters.map(
      ({ retainedUntil, approximateArrivalTimestamp: arrived }) =>
        (retainedUntil!.getTime() - arrived.getTime()) / HOUR,
    );
    expect(keptFor.toSorted((a, b) => a - b)).toEqual([24, 168]);
  });

  test("does not say it where the service does not report its retention", async () => {
    const world = await World.of();
    const client = reporting(world, undefined);
    const queue = new MemoryDeadLetterQueue();
    await world.start({ client }, fail, { onFailure: queue });
    await world.put("a", "1");
    await world.clock.advance(2000);
    const { letters } = await queue.list();
    expect(letters).toHaveLength(1);
    expect(letters[0]).not.toHaveProperty("retainedUntil");
  });
});
