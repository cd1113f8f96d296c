import fc from "fast-check";
import { expect, test } from "vitest";
import { LargeShards, shardNumber } from "./support/large-shards.ts";
import { World } from "./support/world.ts";

const KIB = 1024;
const MIB = 2 ** 20;
/** What a record takes up beside its data. */
const OVERHEAD_BYTES = 1000;

interface Case {
  readonly shards: number;
  readonly stuck: number;
  readonly recordBytes: number;
  readonly maxBufferedBytes: number;
}

/**
 * The handlers of the first shards are stuck. Each shard has more than one page of records, and
 * gets 100 KiB a second, or a record in 20 seconds.
 */
async function expectOthersToGoOn(of: Case): Promise<void> {
  const { shards, stuck, recordBytes, maxBufferedBytes } = of;
  const world = await World.of({ shards });
  const perSecond = Math.max(1 / 20, (100 * KIB) / recordBytes);
  const backlog = Math.max(2, Math.ceil((12 * MIB) / recordBytes));
  const client = new LargeShards(world, { recordBytes, backlog, perSecond });
  const handled = Array.from({ length: shards }, () => 0);
  const consumer = world.consumer({ client, start: "TRIM_HORIZON", maxBufferedBytes });
  const stop = new AbortController();
  const never = new Promise<void>(() => {});
  const scan = consumer.scan(
    ({ shardId }) => {
      const shard = shardNumber(shardId);
      if (shard < stuck) return never;
      handled[shard]! += 1;
    },
    { signal: stop.signal },
  );
  const ended = scan.catch((error: unknown) => error);
  let mostBytes = 0;
  const advance = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i += 1) {
      await world.clock.advance(1000);
      mostBytes = Math.max(mostBytes, consumer.status().bufferedBytes);
    }
  };
  const least = (): number => Math.min(...handled.slice(stuck));
  /** Of the shard that is furthest behind, the records that are older than ten seconds. */
  const behind = (): number => client.count - 10 * perSecond - least();
  for (let i = 0; i < 900 && (least() < backlog || behind() > 2); i += 5) await advance(5);
  await advance(30);
  const isBehind = behind() > 2;
  stop.abort();
  await world.clock.advance(60_000);
  expect(await ended).toMatchObject({ code: "DRAIN_TIMEOUT" });

  expect({ ...of, isBehind }).toEqual({ ...of, isBehind: false });
  expect(mostBytes).toBeLessThanOrEqual(
    maxBufferedBytes + (stuck + 1) * (recordBytes + OVERHEAD_BYTES),
  );
  // Small records always find room.
  if (recordBytes * shards * 10 <= maxBufferedBytes) {
    expect(mostBytes).toBeLessThanOrEqual(maxBufferedBytes);
  }
}

test.each<Case>([
  { shards: 2, stuck: 1, recordBytes: 10 * MIB, maxBufferedBytes: 16 * MIB },
  { shards: 12, stuck: 11, recordBytes: 1_000_000, maxBufferedBytes: 16 * MIB },
  { shards: 12, stuck: 11, recordBytes: KIB, maxBufferedBytes: 16 * MIB },
  { shards: 40, stuck: 39, recordBytes: 10 * MIB, maxBufferedBytes: 16 * MIB },
  { shards: 40, stuck: 39, recordBytes: 10 * MIB, maxBufferedBytes: 256 * MIB },
  { shards: 40, stuck: 39, recordBytes: KIB, maxBufferedBytes: 16 * MIB },
])(
  "of $shards shards $stuck have stuck handlers, records of $recordBytes bytes, memory of $maxBufferedBytes: the others go on",
  async (of) => expectOthersToGoOn(of),
);

test("however many handlers are stuck, and however large records and memory are, the other shards go on", async () => {
  const cases = fc.integer({ min: 2, max: 40 }).chain((shards) =>
    fc.record({
      shards: fc.constant(shards),
      stuck: fc.integer({ min: 1, max: shards - 1 }),
      // 8 KiB to 10 MiB, as many small ones as large ones.
      recordBytes: fc
        .double({ min: 13, max: Math.log2(10 * MIB), noNaN: true })
        .map((log) => Math.round(2 ** log)),
      maxBufferedBytes: fc.integer({ min: 16, max: 256 }).map((mib) => mib * MIB),
    }),
  );
  await fc.assert(fc.asyncProperty(cases, expectOthersToGoOn), { numRuns: 20 });
});

test("stuck handlers that hold more than all memory leave small records of the other shards their pace", async () => {
  const world = await World.of({ shards: 20 });
  const recordBytes = (shard: number): number => (shard < 3 ? 9 * MIB : KIB);
  const client = new LargeShards(world, { recordBytes, backlog: 100, perSecond: 20 });
  const handled = Array.from({ length: 20 }, () => 0);
  const maxBufferedBytes = 16 * MIB;
  const consumer = world.consumer({ client, start: "TRIM_HORIZON", maxBufferedBytes });
  const stop = new AbortController();
  const never = new Promise<void>(() => {});
  const scan = consumer.scan(
    ({ shardId }) => {
      const shard = shardNumber(shardId);
      if (shard < 3) return never;
      handled[shard]! += 1;
    },
    { signal: stop.signal },
  );
  const ended = scan.catch((error: unknown) => error);
  await world.clock.advance(120_000);
  const { bufferedBytes } = consumer.status();
  expect(bufferedBytes).toBeGreaterThan(27 * MIB);
  expect(bufferedBytes).toBeLessThan(28 * MIB);
  expect(Math.min(...handled.slice(3))).toBeGreaterThan(client.count - 10 * 20);
  stop.abort();
  await world.clock.advance(60_000);
  expect(await ended).toMatchObject({ code: "DRAIN_TIMEOUT" });
});

test("a slow loop of records() holds no more memory however many shards wait in line for it", async () => {
  const world = await World.of({ shards: 30 });
  const recordBytes = 9 * MIB;
  const client = new LargeShards(world, { recordBytes, backlog: 3, perSecond: 0 });
  const maxBufferedBytes = 16 * MIB;
  const consumer = world.consumer({ client, start: "TRIM_HORIZON", maxBufferedBytes });
  const records = consumer.records();
  const from = new Set<string>();
  let mostBytes = 0;
  for (let i = 0; i < 40; i += 1) {
    const next = records.next();
    await world.clock.advance(10);
    for (let seconds = 0; seconds < 20; seconds += 1) {
      await world.clock.advance(1000);
      mostBytes = Math.max(mostBytes, consumer.status().bufferedBytes);
    }
    from.add((await next).value!.shardId);
  }
  const returned = records.return();
  await world.clock.advance(60_000);
  await returned;
  expect(from.size).toBe(30);
  // The one that came without room, and another one while the loop is at that.
  expect(mostBytes).toBeLessThanOrEqual(maxBufferedBytes + 2 * (recordBytes + OVERHEAD_BYTES));
});
