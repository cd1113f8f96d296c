import type { MetricAttributes } from "@kc/core";
import { expect } from "vitest";
import { SHARD_0, SHARD_1, WHERE } from "./attributes.ts";
import type { CounterScenario } from "./harness.ts";

/** The number of series that exist, or existed, together. */
const MANY = 3000;
/** The collector must keep up: unread datagrams are lost. */
const BETWEEN_READS = 100;

const additions: readonly CounterScenario[] = [
  {
    key: "add.zero",
    title: "a counter that 0 is added to is shown as 0, and goes on from what it has",
    async run({ harness }) {
      const counter = harness.open();
      counter.add("records", 0, SHARD_0);
      expect(await harness.read("records", SHARD_0), "before it counts").toBe(0);
      counter.add("records", 5, SHARD_0);
      counter.add("records", 0, SHARD_0);
      expect(await harness.read("records", SHARD_0), "once it counts").toBe(5);
    },
  },
  {
    key: "add.total",
    title: "additions to a series make its total",
    async run({ harness }) {
      const counter = harness.open();
      for (const value of [1, 10_000, 3]) counter.add("records", value, SHARD_0);
      expect(await harness.read("records", SHARD_0)).toBe(10_004);
    },
  },
  {
    key: "add.none",
    title: "a series that nothing was added to is absent, or 0",
    async run({ harness }) {
      harness.open().add("records", 5, SHARD_0);
      expect((await harness.read("records", SHARD_1)) ?? 0).toBe(0);
      expect((await harness.read("bytes", SHARD_0)) ?? 0).toBe(0);
    },
  },
  {
    key: "add.series",
    title: "series differ by every attribute, in whatever order these are given",
    async run({ harness }) {
      const counter = harness.open();
      const others: readonly MetricAttributes<"checkpoints">[] = [
        { ...SHARD_0, outcome: "written" },
        { ...SHARD_0, outcome: "same" },
        { ...SHARD_1, outcome: "written" },
        { ...SHARD_0, outcome: "written", stream: "refunds" },
        { ...SHARD_0, outcome: "written", application: "audit" },
      ];
      for (const [index, attributes] of others.entries()) {
        counter.add("checkpoints", index + 1, attributes);
        const turned = Object.fromEntries(Object.entries(attributes).toReversed());
        counter.add("checkpoints", 100, { ...turned, ...attributes });
      }
      for (const [index, attributes] of others.entries()) {
        const total = await harness.read("checkpoints", attributes);
        expect(total, JSON.stringify(attributes)).toBe(101 + index);
      }
    },
  },
  {
    key: "add.read",
    title: "a total that was read goes on, and stays while nothing is added",
    async run({ harness }) {
      const counter = harness.open();
      counter.add("records", 5, SHARD_0);
      expect(await harness.read("records", SHARD_0), "read once").toBe(5);
      expect(await harness.read("records", SHARD_0), "read again").toBe(5);
      counter.add("records", 5, SHARD_0);
      expect(await harness.read("records", SHARD_0), "added to").toBe(10);
    },
  },
  {
    key: "add.names",
    title: "names that resemble each other are series of their own",
    async run({ harness }) {
      const counter = harness.open();
      const long = "x".repeat(127);
      const names: readonly (readonly [stream: string, application: string])[] = [
        ["orders", "Billing"],
        ["orders", "billing"],
        [`${long}1`, "billing"],
        [`${long}2`, "billing"],
        ...["-", ".", "_", "/", " ", ":", ","].flatMap((separator) => [
          [`a${separator}b`, "c"] as const,
          ["a", `b${separator}c`] as const,
          ["c", `a${separator}b`] as const,
          [`b${separator}c`, "a"] as const,
        ]),
      ];
      for (const [index, [stream, application]] of names.entries()) {
        counter.add("records", index + 1, { stream, application });
      }
      for (const [index, [stream, application]] of names.entries()) {
        const total = await harness.read("records", { stream, application });
        expect(total, `${stream}, ${application}`).toBe(index + 1);
      }
    },
  },
  {
    key: "add.large",
    title: "totals of many terabytes are exact",
    async run({ harness }) {
      const counter = harness.open();
      counter.add("bytes", 2 ** 45, SHARD_0);
      counter.add("bytes", 1, SHARD_0);
      expect(await harness.read("bytes", SHARD_0)).toBe(2 ** 45 + 1);
    },
  },
];

const shardNumber = (n: number) => ({
  ...WHERE,
  shardId: `shardId-${String(n).padStart(12, "0")}`,
});

const manySeries: readonly CounterScenario[] = [
  {
    key: "many.live",
    title: "3,000 series are shown, each with its own value",
    async run({ harness }) {
      const counter = harness.open();
      for (let n = 0; n < MANY; n += 1) {
        counter.add("records", n + 1, shardNumber(n));
        if (n % BETWEEN_READS === 0) await harness.read("records", shardNumber(n));
      }
      for (const n of [0, 1, 1999, 2000, MANY - 1]) {
        expect(await harness.read("records", shardNumber(n)), `series ${n}`).toBe(n + 1);
      }
    },
  },
  {
    key: "many.ended",
    title: "a series is shown after 3,000 that are over",
    async run({ harness }) {
      const counter = harness.open();
      for (let n = 0; n < MANY; n += 1) {
        counter.set("lag", 1, shardNumber(n));
        if (n % BETWEEN_READS === 0) await harness.read("lag", shardNumber(n));
        counter.remove("lag", shardNumber(n));
      }
      counter.set("lag", 7, shardNumber(MANY));
      expect(await harness.read("lag", shardNumber(MANY))).toBe(7);
    },
  },
];

const gauges: readonly CounterScenario[] = [
  {
    key: "set.large",
    title: "a gauge shows values beyond 32 bits",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("buffer_bytes", 2 ** 33 + 1, WHERE);
      expect(await harness.read("buffer_bytes", WHERE)).toBe(2 ** 33 + 1);
    },
  },
  {
    key: "set.read",
    title: "a gauge that was read stays until it is set again",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("lag", 7, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "read once").toBe(7);
      expect(await harness.read("lag", SHARD_0), "read again").toBe(7);
    },
  },
  {
    key: "set.last",
    title: "a gauge shows the last value, lower ones and 0 too",
    async run({ harness }) {
      const counter = harness.open();
      for (const value of [0, 86_400_000, 250, 0]) {
        counter.set("lag", value, SHARD_0);
        expect(await harness.read("lag", SHARD_0)).toBe(value);
      }
    },
  },
];

export const VALUE_SCENARIOS: readonly CounterScenario[] = [...additions, ...manySeries, ...gauges];
