import { expect } from "vitest";
import { SHARD_0, SHARD_1, WHERE } from "./attributes.ts";
import type { CounterScenario } from "./harness.ts";

export const REMOVAL_SCENARIOS: readonly CounterScenario[] = [
  {
    key: "remove.restart",
    title: "a counter that is removed and begins again begins at 0",
    async run({ harness }) {
      const counter = harness.open();
      counter.add("records", 7, SHARD_0);
      expect(await harness.read("records", SHARD_0), "before it is over").toBe(7);
      counter.remove("records", SHARD_0);
      await harness.read("records", SHARD_0);
      counter.add("records", 2, SHARD_0);
      expect(await harness.read("records", SHARD_0)).toBe(2);
    },
  },
  {
    key: "remove.same",
    title: "a gauge that is removed and set to the same value is shown again",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("lag", 7, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "before it is over").toBe(7);
      counter.remove("lag", SHARD_0);
      counter.set("lag", 7, SHARD_0);
      expect(await harness.read("lag", SHARD_0)).toBe(7);
    },
  },
  {
    key: "remove.others",
    title: "what is removed of one application or stream stays of the others",
    async run({ harness }) {
      const counter = harness.open();
      const others = [
        { ...SHARD_0, application: "audit" },
        { ...SHARD_0, stream: "refunds" },
      ];
      for (const attributes of [SHARD_0, ...others]) counter.set("lag", 7, attributes);
      counter.remove("lag", SHARD_0);
      for (const attributes of others) expect(await harness.read("lag", attributes)).toBe(7);
    },
  },
  {
    key: "remove.handles",
    title: "a series that one counter of a registry began is ended by another",
    async run({ harness }) {
      const [one, other] = [harness.open(), harness.open()];
      one.set("lag", 7, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "before it is over").toBe(7);
      other.remove("lag", SHARD_0);
      expect(await harness.read("lag", SHARD_0)).toBeUndefined();
    },
  },
  {
    key: "remove.gauge",
    title: "a gauge that is removed is shown no more, and it alone",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("lag", 7, SHARD_0);
      counter.set("lag", 8, SHARD_1);
      expect(await harness.read("lag", SHARD_0), "before it is over").toBe(7);
      counter.remove("lag", SHARD_0);
      expect(await harness.read("lag", SHARD_0), "the series that is over").toBeUndefined();
      expect(await harness.read("lag", SHARD_1), "another").toBe(8);
    },
  },
  {
    key: "remove.counter",
    title: "a counter that is removed is shown no more, and it alone",
    async run({ harness }) {
      const counter = harness.open();
      const written = { ...SHARD_0, outcome: "written" };
      const same = { ...SHARD_0, outcome: "same" };
      counter.add("checkpoints", 7, written);
      counter.add("checkpoints", 8, same);
      expect(await harness.read("checkpoints", written), "before it is over").toBe(7);
      counter.remove("checkpoints", written);
      expect(await harness.read("checkpoints", written), "the one that is over").toBeUndefined();
      expect(await harness.read("checkpoints", same), "another").toBe(8);
    },
  },
  {
    key: "remove.metrics",
    title: "what is removed of one metric stays of the others, histograms too",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("lag", 7, SHARD_0);
      counter.add("records", 8, SHARD_0);
      counter.record("handler_duration", 9, WHERE);
      counter.remove("lag", SHARD_0);
      expect(await harness.read("records", SHARD_0), "a counter").toBe(8);
      const histogram = await harness.readHistogram("handler_duration", WHERE);
      expect(histogram?.count, "a histogram").toBe(1);
    },
  },
  {
    key: "remove.alike",
    title: "what is removed of a shard, or of all shards folded, stays of shards with similar ids",
    async run({ harness }) {
      const counter = harness.open();
      const shard = (shardId: string) => ({ ...WHERE, shardId });
      counter.set("lag", 7, WHERE);
      for (const shardId of ["shardId-1", "shardId-10"]) counter.set("lag", 7, shard(shardId));
      counter.remove("lag", shard("shardId-1"));
      expect(await harness.read("lag", shard("shardId-10")), "a longer id").toBe(7);
      expect(await harness.read("lag", WHERE), "the folded gauge").toBe(7);
      counter.remove("lag", WHERE);
      expect(await harness.read("lag", shard("shardId-10")), "a shard's gauge").toBe(7);
    },
  },
  {
    key: "remove.again",
    title: "a series that is over, or never was, can be removed again, and a gauge set again",
    async run({ harness }) {
      const counter = harness.open();
      const remove = (): void => counter.remove("lag", SHARD_0);
      expect(remove, "removing a series that never was").not.toThrow();
      counter.set("lag", 1, SHARD_0);
      remove();
      expect(remove, "removing a series twice").not.toThrow();
      counter.set("lag", 2, SHARD_0);
      expect(await harness.read("lag", SHARD_0)).toBe(2);
    },
  },
];
