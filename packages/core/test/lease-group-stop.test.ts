import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { LeaseGroup, MemoryStore, StoreError } from "../src/index.ts";
import { GroupWorld, handled, range, SCOPE } from "./support/group-world.ts";

const workers = (group: GroupWorld): string[] => [...group.data.application(SCOPE).workers.keys()];

test("store calls that hang at a stop end with the scan: no heartbeat follows", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a", { consumer: { drainTimeoutMs: 100 } });
  await clock.advance(4000);
  a.link.state = "hangs";
  a.link.only = ["releaseLeases"];
  let calls: number | undefined;
  void a.run.ended.then(() => (calls = a.link.calls.length));
  a.run.abort();
  await clock.advance(60_000);
  expect(calls).toBeDefined();
  expect(a.link.calls.slice(calls)).toEqual([]);
});

test("a stop while the store is away ends with the scan: no call follows, and the group can run again", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a", { consumer: { drainTimeoutMs: 5000 } });
  await clock.advance(4000);
  await group.put(0, 10);
  await clock.advance(300);
  a.link.state = "cut";
  a.run.abort();
  await clock.advance(7000);
  expect(a.run.settled).toBeDefined();
  expect(a.group.status().state).toBe("idle");
  a.link.calls.length = 0;
  await clock.advance(600_000);
  expect(a.link.calls).toEqual([]);
  expect(clock.pendingTimers).toBe(0);

  a.link.state = "whole";
  const again = await group.world.run(a.run.consumer);
  await clock.advance(4000);
  expect(again.settled).toBeUndefined();
  expect(new Set([...handled(a), ...again.texts.map(Number)])).toEqual(new Set(range(0, 10)));
});

test("a scan can begin the moment that the one before has settled", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const a = await group.join("a", { consumer: { drainTimeoutMs: 1000 } });
  await clock.advance(4000);
  a.link.state = "hangs";
  a.link.only = ["releaseLeases"];
  const stop = new AbortController();
  const again = a.run.ended.then(() => a.run.consumer.scan(() => {}, { signal: stop.signal }));
  const settled = again.catch((error: unknown) => error);
  a.run.abort();
  await clock.advance(8000);
  stop.abort();
  await clock.advance(10_000);
  expect(await settled).toBeUndefined();
});

test("a release that fails keeps no shard: leaving frees them", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const [a, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  a.link.state = "cut";
  a.link.only = ["releaseLeases"];
  a.run.abort();
  await clock.advance(200);
  expect(a.run.settled).toEqual({ error: undefined });
  expect(group.shares).toEqual({ b: 4 });
  expect(b.reads.length).toBe(4);
});

test("leaving is tried again within the stop's time", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(4000);
  a.link.state = "cut";
  a.run.abort();
  await clock.advance(3000);
  expect(a.run.settled).toBeUndefined();
  a.link.state = "whole";
  await clock.advance(6000);
  expect(a.run.settled).toEqual({ error: undefined });
  expect(workers(group)).toEqual([]);
  expect(group.shares).toEqual({ "-": 2 });
});

test("a stop while this worker joins leaves no ghost, also if the join takes effect after it", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const b = await group.join("b");
  await clock.advance(4000);
  const slow = (name: string): number => (name === "joinWorker" ? 1500 : 0);
  const a = await group.join("a", {}, undefined, (link) => {
    link.delays = (name) => ({ there: slow(name), back: 0 });
  });
  await clock.advance(500);
  a.run.abort();
  await clock.advance(4000);
  expect(a.run.settled).toEqual({ error: undefined });
  expect(workers(group)).toEqual(["b"]);
  expect(b.reads).toEqual(["00", "01"]);
});

test.each([
  ["looks", ["listWorkers", "listLeases"]],
  ["a heartbeat", ["heartbeat"]],
])(
  "a failure of %s that lasts ends the scan in order: it beats until all is finished, gives back and leaves",
  async (_what, operations) => {
    const group = await GroupWorld.of({ shards: 4 });
    const { clock } = group.world;
    const running = new Set<string | undefined>();
    let overlaps = 0;
    const slow = async (record: {
      partitionKey: string | undefined;
      text(): string;
    }): Promise<void> => {
      if (running.has(record.partitionKey)) overlaps += 1;
      running.add(record.partitionKey);
      await sleep(clock, Number(record.text()) < 10 ? 15_000 : 0);
      running.delete(record.partitionKey);
    };
    const [a, b] = [await group.join("a", {}, slow), await group.join("b", {}, slow)];
    await clock.advance(4000);
    await group.put(0, 10);
    await clock.advance(500);
    const inHand = a.run.texts.length;
    a.link.failure = new StoreError("STORE_ACCESS_DENIED", "the grant was revoked");
    a.link.state = "fails";
    a.link.only = operations;
    await clock.advance(2000);
    a.link.state = "whole";
    await clock.advance(12_000);
    expect(a.run.settled, "its handlers run").toBeUndefined();
    expect(workers(group)).toEqual(["a", "b"]);
    await clock.advance(2000);
    expect(a.run.error).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(workers(group)).toEqual(["b"]);
    await clock.advance(120_000);
    expect(handled(a, b), "what was in hand was finished and flushed").toEqual(range(0, 10));
    expect([inHand > 0, overlaps]).toEqual([true, 0]);
  },
);

test("a push that throws at once leaves no heartbeat behind, and the scan goes on without it", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const store = new MemoryStore({ data: group.data });
  store.watch = () => {
    throw new TypeError("no push here");
  };
  const run = await group.world.start({ store, group: new LeaseGroup({ workerId: "a" }) });
  await clock.advance(4000);
  expect(run.settled).toBeUndefined();
  expect(group.world.logger.find("warn", /push does not work/)).toHaveLength(1);
  await run.stop();
  expect(run.error).toBeUndefined();
  expect(clock.pendingTimers).toBe(0);
});
