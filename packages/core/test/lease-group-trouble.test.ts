import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { LeaseLostError, MemoryStore, ownerOf } from "../src/index.ts";
import { GroupWorld, handled, range, SCOPE, type Member } from "./support/group-world.ts";

/** Its process is gone: nothing of it reaches the store or the stream any more. */
function kill(member: Member): void {
  member.link.state = "hangs";
}

/** A worker died, and a process of its id has come after it. */
async function restartedAfterCrash() {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const first = await group.join("a");
  await clock.advance(4000);
  kill(first);
  return { group, clock, second: await group.join("a") };
}

test("a crash is taken over within the lease and two heartbeats, by observers already there", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const a = await group.join("a", { consumer: { flushIntervalMs: 100 } });
  const b = await group.join("b");
  await clock.advance(4000);
  await group.put(0, 20);
  await clock.advance(1000);
  kill(a);
  const crashed = clock.monotonic();
  while (group.shares["b"] !== 4 && clock.monotonic() - crashed < 20_000) await clock.advance(50);
  expect(group.shares).toEqual({ b: 4 });
  const took = clock.monotonic() - crashed;
  expect(took).toBeGreaterThan(9000);
  expect(took).toBeLessThanOrEqual(12_000);
  await group.put(20, 20);
  await clock.advance(1000);
  expect(handled(b).filter((n) => n >= 20)).toEqual(range(20, 20));
});

test("a worker that alone lost the store stops at its deadline, is replaced, and comes back", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const [a, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  const before = group.data.application(SCOPE).workers.get("a")!.incarnation;
  a.link.state = "cut";
  await clock.advance(9200);
  const atDeadline = a.run.texts.length;
  await group.put(0, 40);
  await clock.advance(900);
  expect(a.run.texts.length, "past its deadline it begins nothing").toBe(atDeadline);
  await clock.advance(3000);
  expect(group.shares).toEqual({ b: 4 });
  a.link.state = "whole";
  await clock.advance(5000);
  expect(a.run.settled).toBeUndefined();
  expect(group.shares).toEqual({ a: 2, b: 2 });
  expect(group.data.application(SCOPE).workers.get("a")!.incarnation).not.toBe(before);
  expect(new Set(handled(a, b))).toEqual(new Set(range(0, 40)));
});

test("the handler's signal says why the shard is lost, before another worker has it", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const aborts: { reason: unknown; owners: unknown }[] = [];
  const a = await group.join("a", {}, (_record, { signal }) => {
    signal.addEventListener("abort", () => {
      aborts.push({ reason: signal.reason, owners: group.owners });
    });
    return sleep(clock, 60_000);
  });
  await clock.advance(2500);
  await group.put(0, 1);
  await clock.advance(1000);
  await group.join("b");
  a.link.state = "cut";
  await clock.advance(13_000);
  a.link.state = "whole";
  await clock.advance(2000);
  expect(group.shares).toEqual({ b: 1 });
  expect(aborts).toEqual([{ reason: expect.any(LeaseLostError), owners: { "00": "a" } }]);
  expect(String(aborts[0]!.reason)).toMatch(/the lease was lost: no heartbeat was acknowledged/);
});

test("a worker that is evicted during a hand-off loses that shard at once, and joins again", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a", {}, () => sleep(clock, 60_000));
  await clock.advance(4000);
  await group.put(0, 20);
  await clock.advance(1000);
  await group.join("b");
  await clock.advance(500);
  a.link.state = "cut";
  await clock.advance(13_000);
  expect(group.shares).toEqual({ b: 2 });
  a.link.state = "whole";
  await clock.advance(3000);
  expect(group.data.application(SCOPE).workers.has("a"), "before drainTimeoutMs is over").toBe(
    true,
  );
});

test("a look that does not name this worker ends its membership, whatever the other calls take", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(4000);
  a.link.only = ["heartbeat", "listLeases"];
  a.link.state = "hangs";
  const { workers } = group.data.application(SCOPE);
  workers.delete("a");
  group.data.application(SCOPE).revision += 1;
  await clock.advance(2500);
  expect(workers.has("a"), "it has joined again").toBe(true);
});

test("a worker that is evicted during a hand-over tells its handlers at once, as lost", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const reasons: unknown[] = [];
  const a = await group.join("a", {}, (_record, { signal }) => {
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    return sleep(clock, 60_000);
  });
  await clock.advance(2500);
  await group.put(0, 10);
  await clock.advance(1000);
  await group.join("b");
  await clock.advance(3000);
  const states = a.run.consumer.status().shards.map(({ state }) => state);
  expect(states.toSorted(), "one is handed over").toEqual(["draining", "handling"]);

  const evictor = new MemoryStore({ data: group.data });
  await evictor.evictWorker(SCOPE, group.data.application(SCOPE).workers.get("a")!);
  await clock.advance(1500);
  expect(reasons.map(String)).toEqual([
    expect.stringMatching(/evicted/),
    expect.stringMatching(/evicted/),
  ]);
});

test("a store that is away for longer than the lease: all stop, none is evicted, all resume", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const members = [await group.join("a"), await group.join("b"), await group.join("c")];
  await clock.advance(4000);
  const incarnations = (): string[] =>
    [...group.data.application(SCOPE).workers.values()].map(ownerOf);
  const before = incarnations();
  for (const { link } of members) link.state = "cut";
  await clock.advance(10_000);
  await group.put(0, 20);
  await clock.advance(60_000);
  expect(handled(...members)).toEqual([]);
  for (const { link } of members) link.state = "whole";
  await clock.advance(8000);
  expect(members.map(({ run }) => run.settled)).toEqual([undefined, undefined, undefined]);
  expect(incarnations()).toEqual(before);
  expect(handled(...members)).toEqual(range(0, 20));
});

test("a store that answers reads and refuses writes makes nobody evict the living", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const members = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  for (const { link } of members) {
    link.state = "cut";
    link.only = ["heartbeat", "setCheckpoints"];
  }
  await clock.advance(60_000);
  for (const { link } of members) link.state = "whole";
  await clock.advance(3000);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  const evictions = members
    .flatMap(({ link }) => link.calls)
    .filter((call) => call === "evictWorker");
  expect(evictions).toEqual([]);
});

test("a claim whose reply was lost is adopted, or given back where it is planned for another", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  a.link.state = "lost";
  a.link.only = ["acquireLeases"];
  await clock.advance(2500);
  expect(group.shares, "the rows name it").toEqual({ a: 2 });
  expect(a.reads, "and it does not know").toEqual([]);
  await group.join("b");
  await clock.advance(1000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  a.link.state = "whole";
  await clock.advance(2000);
  expect(a.reads.length).toBe(1);
  const epochs = [...group.data.application(SCOPE).shards.values()].map(({ epoch }) => epoch);
  expect(epochs.toSorted(), "adopting takes no new epoch").toEqual([1, 2]);
});

test("a release that arrives late takes no lease that was claimed again meanwhile", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock, logger } = group.world;
  const a = await group.join("a");
  a.link.state = "lost";
  a.link.only = ["acquireLeases"];
  await clock.advance(2500);
  expect(group.shares, "it does not know of its leases").toEqual({ a: 2 });
  let releases = 0;
  a.link.delays = (name) => {
    if (name === "releaseLeases") releases += 1;
    return { there: name === "releaseLeases" && releases === 1 ? 8000 : 0, back: 0 };
  };
  const b = await group.join("b");
  await clock.advance(200);
  expect(releases, "one is planned for b").toBe(1);
  await b.run.stop();
  await clock.advance(5000);
  expect(a.reads).toEqual(["00", "01"]);
  await clock.advance(10_000);
  expect(a.reads).toEqual(["00", "01"]);
  const lost = logger
    .find("info", /given back/)
    .filter(({ fields }) => fields["reason"] === "lost");
  expect(lost).toEqual([]);
});

test("a worker id used twice: the second is refused while the first lives", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const first = await group.join("a");
  await group.world.clock.advance(4000);
  const second = await group.join("a");
  await group.world.clock.advance(5000);
  expect(second.run.error).toMatchObject({ code: "WORKER_ID_IN_USE", retryable: false });
  expect(first.run.settled).toBeUndefined();
  expect(group.shares).toEqual({ a: 2 });
});

test("after a crash the restarted id waits until what it left is evicted, and takes over", async () => {
  const { clock, second } = await restartedAfterCrash();
  await clock.advance(9500);
  expect(second.reads).toEqual([]);
  await clock.advance(5000);
  expect(second.run.settled).toBeUndefined();
  expect(second.reads).toEqual(["00", "01"]);
});

test("a heartbeat of the dead process that arrives late is not taken for its life", async () => {
  const { group, clock, second } = await restartedAfterCrash();
  await clock.advance(3000);
  const { workers } = group.data.application(SCOPE);
  const row = workers.get("a")!;
  workers.set("a", { ...row, counter: row.counter + 1 });
  await clock.advance(13_000);
  expect(second.run.settled).toBeUndefined();
  expect(second.reads).toEqual(["00", "01"]);
});

test("a dead process's late heartbeats around a store that went back are not taken for its life", async () => {
  const { group, clock, second } = await restartedAfterCrash();
  await clock.advance(3000);
  const { workers } = group.data.application(SCOPE);
  const { counter } = workers.get("a")!;
  for (const seen of [counter + 1, counter - 2, counter - 1]) {
    workers.set("a", { ...workers.get("a")!, counter: seen });
    await clock.advance(1500);
  }
  await clock.advance(13_000);
  expect(second.run.settled).toBeUndefined();
  expect(second.reads).toEqual(["00", "01"]);
});

test("a store that went back is noticed: everything is given up, claimed again, and nothing lost", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock, logger } = group.world;
  const a = await group.join("a");
  await clock.advance(2500);
  const application = group.data.application(SCOPE);
  const snapshot = structuredClone({
    workers: [...application.workers],
    shards: [...application.shards],
    revision: application.revision,
  });
  await group.put(0, 10);
  const b = await group.join("b");
  await clock.advance(3000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  for (const map of [application.workers, application.shards]) map.clear();
  for (const [id, row] of snapshot.workers) application.workers.set(id, row);
  for (const [id, row] of snapshot.shards) application.shards.set(id, row);
  application.revision = snapshot.revision;
  await clock.advance(4000);
  const [line] = logger.find("error", /all leases are given up/);
  expect(line?.fields["err"]).toMatchObject({ code: "STORE_REGRESSED" });
  expect([a.run.settled, b.run.settled]).toEqual([undefined, undefined]);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  await group.put(10, 10);
  await clock.advance(2000);
  expect(new Set(handled(a, b))).toEqual(new Set(range(0, 20)));
});

test("a store that was emptied ends the scan: a first start would not be one", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(4000);
  await group.put(0, 10);
  await clock.advance(40_000);
  const application = group.data.application(SCOPE);
  application.workers.clear();
  application.shards.clear();
  application.row = undefined;
  application.revision = 0;
  await clock.advance(4000);
  expect(a.run.error).toMatchObject({ code: "STORE_REGRESSED" });
});

test("a store that forgets this worker each time is not asked without a pause", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const a = await group.join("a");
  const application = group.data.application(SCOPE);
  application.workers.set = () => application.workers;
  application.workers.clear();
  await clock.advance(3000);
  a.link.calls.length = 0;
  await clock.advance(10_000);
  expect(a.link.calls.filter((call) => call === "joinWorker").length).toBeLessThanOrEqual(11);
  expect(a.run.settled).toBeUndefined();
});

test("an operator's forced reset takes a shard away, and its reading goes on from there", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(2500);
  await group.put(0, 5);
  await clock.advance(2000);
  const shard = group.data.shard(SCOPE, "shardId-000000000000");
  Object.assign(shard, { checkpoint: undefined, owner: undefined, epoch: shard.epoch + 1 });
  await group.put(5, 5);
  await clock.advance(4000);
  expect(a.run.settled).toBeUndefined();
  expect(
    a.run.texts
      .slice(-10)
      .map(Number)
      .toSorted((x, y) => x - y),
  ).toEqual(range(0, 10));
});

test("a passing failure in a round is seen and retried; a lasting one ends the scan", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  a.link.state = "cut";
  a.link.only = ["listLeases"];
  await clock.advance(5000);
  expect(a.run.settled).toBeUndefined();
  a.link.state = "whole";
  await clock.advance(2500);
  expect(a.reads).toEqual(["00", "01"]);
  group.data.shard(SCOPE, "shardId-000000000001").lineage = "not ours";
  group.data.application(SCOPE).revision += 1;
  await clock.advance(2000);
  expect(a.run.error).toMatchObject({ code: "STORE_CORRUPT", shardId: "shardId-000000000001" });
});

test("a worker that is gone is seen by the list of workers, before the revision follows", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const [, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(5000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  b.link.state = "cut";
  // An eviction that took effect when nobody waited for it any more.
  group.data.application(SCOPE).workers.delete("b");
  await clock.advance(5000);
  expect(group.shares).toEqual({ a: 2 });
});

test("200 workers that start at once do not stampede: a few calls each, and nothing moves", async () => {
  const group = await GroupWorld.of({ shards: 50 });
  const { clock, kinesis } = group.world;
  const members: Member[] = [];
  for (let n = 0; n < 200; n += 1) {
    members.push(await group.join(`w${n}`, { consumer: { scanIntervalMs: 60_000 } }));
  }
  await clock.advance(5000);
  const held = Object.values(group.owners).filter((owner) => owner !== "-");
  expect(new Set(held).size, "each shard has a worker of its own").toBe(50);
  const shards = [...group.data.application(SCOPE).shards.values()];
  expect(shards.map(({ epoch }) => epoch)).toEqual(shards.map(() => 1));
  for (const { link } of members) expect(link.calls.length).toBeLessThan(60);
  expect(kinesis.countOf("ListShards")).toBeLessThan(5);
});

test("an eviction that fails is tried once a heartbeat, and holds nothing else up", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const [a, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  kill(b);
  a.link.state = "cut";
  a.link.only = ["evictWorker"];
  await clock.advance(12_000);
  a.link.calls.length = 0;
  await group.world.split("shardId-000000000000");
  await group.world.split("shardId-000000000001");
  await clock.advance(10_000);
  const evictions = a.link.calls.filter((call) => call === "evictWorker");
  expect(evictions.length).toBeGreaterThan(5);
  expect(evictions.length).toBeLessThanOrEqual(15);
  expect(a.link.calls.length).toBeLessThan(60);
  expect(a.reads, "it claims what is free meanwhile").toEqual(expect.arrayContaining(["02"]));
  a.link.state = "whole";
  await clock.advance(2000);
  expect(group.shares["b"]).toBeUndefined();
});

test("a first look while many join is not taken for an eviction", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock, logger } = group.world;
  await group.join("a");
  await clock.advance(4000);
  const store = new MemoryStore({ data: group.data });
  let joined = 0;
  const churn = async (): Promise<void> => {
    for (; joined < 400; joined += 1) {
      const worker = { workerId: `w${joined}`, incarnation: "i", weight: 1, maxShards: 1 };
      await store.joinWorker(SCOPE, worker);
      await sleep(clock, 25);
    }
  };
  const churning = churn();
  const b = await group.join("b", {}, undefined, (link) => {
    link.delays = () => ({ there: 20, back: 20 });
  });
  await clock.advance(9000);
  expect(joined).toBeGreaterThan(300);
  expect(b.link.calls.filter((call) => call === "joinWorker")).toHaveLength(1);
  expect(logger.find("warn", /is out of the group/)).toEqual([]);
  await clock.advance(2000);
  await churning;
});

test("a join whose reply was lost counts from its first call: nobody is evicted before its own deadline", async () => {
  const group = await GroupWorld.of({ shards: 1, push: false });
  const { clock } = group.world;
  await group.join("b");
  await clock.advance(4000);
  const left: number[] = [];
  const a = await group.join("a", {}, undefined, (link) => {
    link.state = "lost";
    link.only = ["joinWorker"];
  });
  group.onEvict = () => left.push(a.group.status().remainingMs);
  await clock.advance(7000);
  a.link.state = "whole";
  while (a.group.status().state !== "member") await clock.advance(10);
  a.link.only = undefined;
  a.link.state = "cut";
  await clock.advance(20_000);
  expect(left).toEqual([0]);
});

test("a store so slow that a round takes most of a lease: the dead are evicted all the same", async () => {
  const group = await GroupWorld.of({ shards: 4, push: false });
  const { clock } = group.world;
  const [a, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  const slow = new Set(["listWorkers", "listLeases", "acquireLeases", "releaseLeases"]);
  b.link.delays = (name) => (slow.has(name) ? { there: 1200, back: 1200 } : { there: 0, back: 0 });
  const data = group.data.application(SCOPE);
  kill(a);
  // Something changes all the time, so that each round reads all there is.
  for (let n = 0; n < 8; n += 1) {
    data.revision += 1;
    await clock.advance(6000);
  }
  expect(group.shares).toEqual({ b: 4 });
});
