import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  Consumer,
  LeaseGroup,
  MemoryStore,
  type ConsumerOptions,
  type LeaseGroupOptions,
} from "../src/index.ts";
import { GroupWorld, handled, range, SCOPE, type Member } from "./support/group-world.ts";
import { RecordingStore } from "./support/recording-store.ts";

test("one worker reads everything, and gives it all back when it stops", async () => {
  const group = await GroupWorld.of({ shards: 3 });
  const a = await group.join("a");
  await group.put(0, 10);
  await group.world.clock.advance(3000);
  expect(group.shares).toEqual({ a: 3 });
  expect(handled(a)).toEqual(range(0, 10));
  await a.run.stop();
  expect(a.run.error).toBeUndefined();
  expect(group.shares).toEqual({ "-": 3 });
  expect(group.data.application(SCOPE).workers.size).toBe(0);
  expect(group.world.clock.pendingTimers).toBe(0);
});

test.each([
  { push: true, withinMs: 150 },
  { push: false, withinMs: 2200 },
])(
  "a joining worker gets its half within $withinMs ms (push: $push), and nothing is repeated",
  async ({ push, withinMs }) => {
    const group = await GroupWorld.of({ shards: 4, push });
    const a = await group.join("a");
    await group.world.clock.advance(3000);
    await group.put(0, 20);
    await group.world.clock.advance(300);
    const b = await group.join("b");
    await group.world.clock.advance(withinMs);
    expect(group.shares).toEqual({ a: 2, b: 2 });
    expect([a.reads.length, b.reads.length]).toEqual([2, 2]);
    await group.put(20, 20);
    await group.world.clock.advance(2000);
    expect(handled(a, b)).toEqual(range(0, 40));
    expect(b.run.texts.length).toBeGreaterThan(0);
  },
);

test("workers that start together spread the shards before anything is read, moving none", async () => {
  const group = await GroupWorld.of({ shards: 9 });
  const members: Member[] = [];
  for (const id of ["a", "b", "c"]) {
    members.push(await group.join(id));
    await group.world.clock.advance(600);
  }
  await group.world.clock.advance(4000);
  expect(group.shares).toEqual({ a: 3, b: 3, c: 3 });
  const epochs = [...group.data.application(SCOPE).shards.values()].map(({ epoch }) => epoch);
  expect(epochs).toEqual(Array.from({ length: 9 }, () => 1));
  expect(members.map(({ reads }) => reads.length)).toEqual([3, 3, 3]);
});

test("a graceful stop is seen at once: the others take the shards over and repeat nothing", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const [a, b] = [await group.join("a"), await group.join("b")];
  await group.world.clock.advance(3000);
  await group.put(0, 20);
  await group.world.clock.advance(1000);
  a.run.abort();
  await group.world.clock.advance(150);
  expect(a.run.settled).toEqual({ error: undefined });
  expect(group.shares).toEqual({ b: 4 });
  await group.put(20, 20);
  await group.world.clock.advance(1000);
  expect(handled(a, b)).toEqual(range(0, 40));
});

test("a handler in hand is finished before its shard is handed over", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a", {}, () => sleep(clock, 3000));
  await group.world.clock.advance(2500);
  await group.put(0, 10);
  await clock.advance(1000);
  const b = await group.join("b");
  await clock.advance(1000);
  expect(group.shares).toEqual({ a: 2 });
  await clock.advance(40_000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  expect(handled(a, b)).toEqual(range(0, 10));
});

test("a hand-off whose time is over aborts the handler, keeps what is done, and is counted", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const reasons: unknown[] = [];
  const consumer = { drainTimeoutMs: 5000 };
  await group.join("a", { consumer }, (_record, { signal }) => {
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    return new Promise(() => {});
  });
  await clock.advance(2500);
  await group.put(0, 10);
  await clock.advance(1000);
  const b = await group.join("b");
  await clock.advance(7000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  expect(reasons).toEqual([{ kind: "hand-off", deadlineMs: 5000 }]);
  expect(handled(b).length).toBeGreaterThan(0);
});

test("weights and limits decide the shares, and what is too much stays free", async () => {
  const group = await GroupWorld.of({ shards: 9 });
  await Promise.all([group.join("a", { weight: 2 }), group.join("b")]);
  await group.world.clock.advance(4000);
  expect(group.shares).toEqual({ a: 6, b: 3 });

  const limited = await GroupWorld.of({ shards: 5 });
  await Promise.all([limited.join("a", { maxShards: 1 }), limited.join("b", { maxShards: 2 })]);
  await limited.world.clock.advance(4000);
  expect(limited.shares).toEqual({ a: 1, b: 2, "-": 2 });
});

test("steady state costs two calls a worker and heartbeat, whatever the shards; one lists them", async () => {
  const group = await GroupWorld.of({ shards: 24 });
  const members = await Promise.all(["a", "b", "c"].map((id) => group.join(id)));
  await group.world.clock.advance(10_000);
  for (const { link } of members) link.calls.length = 0;
  group.world.kinesis.resetCalls();
  await group.world.clock.advance(300_000);
  for (const { link } of members) {
    const count = (name: string): number => link.calls.filter((call) => call === name).length;
    expect(count("heartbeat")).toBe(300);
    expect(count("listWorkers")).toBe(300);
    expect(count("listLeases")).toBe(1);
    expect(link.calls.length).toBe(601);
  }
  expect(group.world.kinesis.countOf("ListShards")).toBe(10);
});

test("split shards are read after their parents, on whichever worker, in each key's order", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  const order: string[] = [];
  const note = (record: { partitionKey: string | undefined; text(): string }): void =>
    void order.push(`${record.partitionKey}:${record.text()}`);
  await Promise.all([group.join("a", {}, note), group.join("b", {}, note)]);
  await world.clock.advance(3000);
  await group.put(0, 30);
  const [first, second] = await world.openShardIds();
  await world.split(first!);
  await world.split(second!);
  await group.put(30, 30);
  await world.clock.advance(5000);
  expect(Object.entries(group.owners).filter(([, owner]) => owner !== "-").length).toBe(4);
  expect(group.shares).toMatchObject({ a: 2, b: 2 });
  const open = await world.openShardIds();
  await world.merge(open[0]!, open[1]!);
  await group.put(60, 30);
  await world.clock.advance(5000);
  expect(order.length).toBe(90);
  for (const key of range(0, 10)) {
    const numbers = order.filter((one) => one.startsWith(`key-${key}:`)).map((one) => one.slice(6));
    expect(numbers, `key-${key}`).toEqual(range(0, 9).map((n) => String(n * 10 + key)));
  }
});

test("children that no page announced are found by a listing, soon", async () => {
  const group = await GroupWorld.of({ shards: 1, omitChildShards: true });
  const { world } = group;
  const a = await group.join("a");
  await world.clock.advance(3000);
  await group.put(0, 5);
  await world.split("shardId-000000000000");
  await group.put(5, 5);
  await world.clock.advance(12_000);
  expect(handled(a)).toEqual(range(0, 10));
});

test("ended shards leave the rows once a complete listing names them no more", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const consumer = { scanIntervalMs: 300_000, discoveryIntervalMs: 600_000 };
  await group.join("a", { leaseMs: 3_600_000, consumer });
  await world.clock.advance(3000);
  await group.put(0, 5);
  await world.split("shardId-000000000000");
  await world.clock.advance(3_600_000);
  expect(Object.keys(group.owners)).toEqual(["00", "01", "02"]);
  await world.clock.advance(25 * 3_600_000);
  expect(Object.keys(group.owners)).toEqual(["01", "02"]);
});

test("an application that started at LATEST and read nothing loses nothing to its next start", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const consumer = { start: "LATEST" as const };
  await group.put(100, 10);
  await group.world.clock.advance(60_000);
  const a = await group.join("a", { consumer });
  await group.world.clock.advance(500);
  await a.run.stop();
  await group.put(0, 10);
  const b = await group.join("b", { consumer });
  await group.world.clock.advance(4000);
  expect(handled(b)).toEqual(range(0, 10));
});

test("the status says who holds what, and why", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const a = await group.join("a");
  expect(a.group.status()).toMatchObject({ workerId: "a", state: "member" });
  await group.world.clock.advance(4000);
  await group.world.split("shardId-000000000000");
  const b = await group.join("b");
  await group.world.clock.advance(1500);
  const { workers, shards, incarnation, remainingMs } = b.group.status();
  expect(workers).toEqual(["a", "b"]);
  expect(incarnation).toMatch(/^[0-9a-f-]{13}$/);
  expect(remainingMs).toBeGreaterThan(7000);
  const own = shards.find(({ owner }) => owner === "b");
  expect(own).toMatchObject({
    state: "held",
    why: expect.any(String),
    epoch: expect.any(Number),
  });
  expect(shards.find(({ owner }) => owner === "a")).not.toHaveProperty("why");
  await b.run.stop();
  expect(b.group.status()).toMatchObject({ state: "idle", incarnation: undefined, shards: [] });
});

test("a store without leases is refused, by type and when the consumer is made", () => {
  const store = new RecordingStore({} as never, { leases: false });
  const options: ConsumerOptions = { stream: "orders", application: "billing", store };
  // @ts-expect-error a LeaseGroup needs a LeaseStore
  const make = (): Consumer => new Consumer({ ...options, store, group: new LeaseGroup() });
  expect(make).toThrow(expect.objectContaining({ code: "CONFIG_INVALID", option: "store" }));
  expect(() => new Consumer({ ...options, group: new LeaseGroup() } as never)).toThrow(
    /LeaseStore/,
  );
  const fitting = { stream: "orders", application: "billing", store: new MemoryStore() };
  expect(() => new Consumer({ ...fitting, group: new LeaseGroup() })).not.toThrow();
});

test.each([
  [{ workerId: "a#b" }, "workerId"],
  [{ workerId: "" }, "workerId"],
  [{ leaseMs: 999 }, "leaseMs"],
  [{ leaseMs: 5000, heartbeatMs: 501 }, "heartbeatMs"],
  [{ heartbeatMs: 0 }, "heartbeatMs"],
  [{ heartbeatMs: 99 }, "heartbeatMs"],
  [{ weight: 0 }, "weight"],
  [{ weight: Number.NaN }, "weight"],
  [{ maxShards: 0 }, "maxShards"],
  [{ maxShards: 1.5 }, "maxShards"],
  [{ leaseTime: 1 }, "leaseTime"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new LeaseGroup(options as LeaseGroupOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});
