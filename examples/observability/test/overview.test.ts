import type { ConsumerStatus, ShardStatus } from "@kc/core";
import { expect, test } from "vitest";
import { Overview, type WorkerAnswer } from "../src/overview.ts";

function answer(
  name: string,
  records: number | undefined,
  shards: Partial<ShardStatus>[] = [],
): WorkerAnswer {
  const status = records === undefined ? undefined : { state: "running", shards };
  const rows = status as unknown as ConsumerStatus | undefined;
  return { name, pid: 7, url: `http://${name}`, status: rows, records };
}

const shard = (shardId: string, more: Partial<ShardStatus> = {}): Partial<ShardStatus> => ({
  shardId,
  state: "reading",
  recordsInFlight: 3,
  lagMs: 40,
  error: undefined,
  ...more,
});

test("a worker that is killed, and its shards, stay until another worker reads them", () => {
  const overview = new Overview();
  overview.take(0, [answer("one", 0, [shard("a")]), answer("two", 10, [shard("b")])]);
  overview.take(1000, [answer("one", 5, [shard("a")]), answer("two", 30, [shard("b")])]);
  overview.take(3000, [answer("one", 9, [shard("a")]), answer("two", undefined)]);

  const silent = overview.snapshot;
  expect(silent.workers[1]).toMatchObject({ state: "no answer", records: 30, recordsPerSecond: 0 });
  expect(silent.shards[1]).toMatchObject({ shardId: "b", worker: "two", state: "not read" });
  expect(silent.shards[1]!.lagMs).toBeUndefined();
  expect(silent.samples.map((sample) => sample.recordsPerSecond)).toEqual([0, 25, 2]);
  expect(silent.samples.at(-1)!.lagMs).toEqual({ a: 40 });

  overview.take(4000, [answer("one", 9, [shard("a"), shard("b")]), answer("two", undefined)]);
  expect(overview.snapshot.shards[1]).toMatchObject({ worker: "one", state: "reading" });
  expect(overview.snapshot.events.map(({ text }) => text)).toEqual([
    "one reads b, which two read",
    "two (process 7) does not answer",
    "two reads b",
    "one reads a",
  ]);
});

test("a shard that ended vanishes, and a handler that another worker left behind hides no reader", () => {
  const overview = new Overview();
  overview.take(0, [answer("one", 0), answer("two", 0, [shard("a"), shard("b")])]);
  const left = shard("b", { state: "abandoned" });
  overview.take(1000, [answer("one", 0, [shard("b")]), answer("two", 0, [left])]);
  const rows = overview.snapshot.shards.map(({ shardId, worker }) => [shardId, worker]);
  expect(rows).toEqual([["b", "one"]]);
});

test("five minutes of samples and the latest events are kept, and a restart is no negative rate", () => {
  const overview = new Overview();
  for (let second = 0; second < 1000; second += 1) {
    const name = second % 2 === 0 ? "one" : "two";
    overview.take(second * 1000, [answer(name, 1000 - second, [shard("a")])]);
  }
  const { samples, events } = overview.snapshot;
  expect(samples).toHaveLength(300);
  expect(events).toHaveLength(20);
  expect(samples.every(({ recordsPerSecond }) => recordsPerSecond >= 0)).toBe(true);
});
