import { onTestFinished, expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { concurrent } from "../src/delivery/concurrent.ts";
import { Pauses } from "../src/delivery/pauses.ts";
import { MemoryStore, MemoryStoreData, type Group, type Handler } from "../src/index.ts";
import { resolveDelivery } from "../src/options/resolve-delivery.ts";
import { resolveOptions } from "../src/options/resolve-options.ts";
import { Scan } from "../src/scan/scan.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";

interface ConcurrentOptions {
  readonly handler: Handler;
  readonly concurrency: number;
}

/** A scan whose delivery handles several records of a shard at once. */
class ConcurrentScan {
  readonly store: MemoryStore;
  readonly scan: Scan;
  readonly stop = new AbortController();
  readonly ended: Promise<void>;
  settled: { readonly error: unknown } | undefined;

  constructor(world: World, options: ConcurrentOptions, data?: MemoryStoreData, group?: Group) {
    this.store = new MemoryStore(data && { data });
    const resolved = resolveOptions({
      stream: STREAM,
      application: "billing",
      client: world.kinesis,
      clock: world.clock,
      store: this.store,
      start: "TRIM_HORIZON",
      ...(group && { group }),
    });
    const { handler, concurrency } = options;
    const openDelivery = concurrent(handler, resolveDelivery({ concurrency }), resolved.scope);
    this.scan = new Scan(resolved, world.kinesis, openDelivery, new Map(), new Pauses());
    this.ended = this.scan.run(resolved.group, this.stop.signal).then(
      () => void (this.settled = { error: undefined }),
      (error: unknown) => void (this.settled = { error }),
    );
    onTestFinished(async () => {
      this.stop.abort();
      await world.clock.advance(60_000);
    });
  }

  async stored(): Promise<unknown> {
    const scope = { application: "billing", streamName: STREAM };
    return (await this.store.getCheckpoints(scope)).get(SHARD);
  }
}

test("a stop while the reader waits ends when the records in hand are done, and they are flushed", async () => {
  const world = await World.of();
  const { clock } = world;
  const done: string[] = [];
  const handler: Handler = async (record) => {
    await sleep(clock, 3000);
    done.push(record.text());
  };
  await world.put("a", "1");
  const [last] = await world.put("b", "2");
  const run = new ConcurrentScan(world, { handler, concurrency: 4 });
  await clock.advance(1000);
  expect(run.scan.status().shards).toMatchObject([{ recordsInFlight: 2 }]);
  run.stop.abort();
  await clock.advance(1000);
  expect(run.settled).toBeUndefined();
  await clock.advance(2000);
  expect(done).toEqual(["1", "2"]);
  expect(run.settled).toEqual({ error: undefined });
  expect(await run.stored()).toMatchObject({ sequenceNumber: last });
});

test("a record that fails while the reader waits for Kinesis ends the scan at once", async () => {
  const world = await World.of();
  const { clock } = world;
  const handler: Handler = async () => {
    await sleep(clock, 3000);
    throw new Error("no");
  };
  await world.put("a", "1");
  const run = new ConcurrentScan(world, { handler, concurrency: 4 });
  await clock.advance(1000);
  world.kinesis.faults.fail({
    operation: "GetRecords",
    error: "InternalFailure",
    times: Infinity,
  });
  await clock.advance(2500);
  expect(run.settled).toMatchObject({ error: { code: "HANDLER_FAILED", shardId: SHARD } });
});

test("a shard that is granted again waits for the handlers that a lost lease left behind", async () => {
  const world = await World.of();
  const { clock } = world;
  let now = 0;
  let most = 0;
  const handler: Handler = async () => {
    now += 1;
    most = Math.max(most, now);
    await sleep(clock, 20_000);
    now -= 1;
  };
  await world.put("a", "1");
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const run = new ConcurrentScan(world, { handler, concurrency: 4 }, data, group);
  await clock.settle();
  const first = group.grant(SHARD);
  await clock.advance(1000);
  first.lose();
  await clock.advance(100);
  expect(first.outcome).toMatchObject({ kind: "lost" });
  group.grant(SHARD);
  await clock.advance(5000);
  expect(run.scan.status().shards.map(({ state }) => state)).toEqual(["waiting", "abandoned"]);
  await clock.advance(16_000);
  expect(most).toBe(1);
});

test("an error of reading ends the scan within its drain timeout, though a record in hand never ends", async () => {
  const world = await World.of();
  const { clock } = world;
  const handler: Handler = () => new Promise(() => {});
  await world.put("a", "1");
  const run = new ConcurrentScan(world, { handler, concurrency: 4 });
  await clock.advance(1000);
  const operation = "GetRecords";
  world.kinesis.faults.fail({ operation, error: "ValidationException", times: Infinity });
  await clock.advance(60_000);
  expect(run.settled).toMatchObject({ error: { code: "KINESIS_FAILED", shardId: SHARD } });
});

test("a shard that is handed over is released when the records in hand are done", async () => {
  const world = await World.of();
  const { clock } = world;
  await world.put("a", "1");
  const [last] = await world.put("b", "2");
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const handler: Handler = () => sleep(clock, 3000);
  const run = new ConcurrentScan(world, { handler, concurrency: 4 }, data, group);
  await clock.settle();
  const grant = group.grant(SHARD);
  await clock.advance(1000);
  grant.handOff();
  await clock.advance(1000);
  expect(grant.outcome).toBeUndefined();
  // The records in hand keep their memory.
  expect(run.scan.status().bufferedBytes).toBeGreaterThan(0);
  await clock.advance(1500);
  expect(grant.outcome).toMatchObject({ kind: "released", checkpoint: { sequenceNumber: last } });
  expect(run.scan.status().bufferedBytes).toBe(0);
});

test("many records in hand may ask for their signal: each ends with the shard, and Node warns of no leak", async () => {
  const world = await World.of();
  const { clock } = world;
  const aborted: string[] = [];
  const handler: Handler = (record, { signal }) =>
    new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        aborted.push(record.text());
        resolve(undefined);
      });
    });
  const texts = Array.from({ length: 24 }, (_, i) => `${i}`);
  for (const text of texts) await world.put(text, text);
  const data = new MemoryStoreData();
  const group = new ScriptedGroup(data);
  const run = new ConcurrentScan(world, { handler, concurrency: 24 }, data, group);
  await clock.settle();
  const grant = group.grant(SHARD);
  await clock.advance(1000);
  expect(run.scan.status().shards).toMatchObject([{ recordsInFlight: 24 }]);
  grant.lose();
  await clock.settle();
  expect(aborted).toEqual(texts);
  expect(grant.outcome).toMatchObject({ kind: "lost" });
});
