import { METRICS, type MetricAttributes } from "@kc/core";
import { expect } from "vitest";
import { collectScenarios } from "../scenario.ts";
import type { CounterScenario } from "./harness.ts";

const WHERE = { stream: "orders", application: "billing" } as const;
const SHARD_0 = { ...WHERE, shardId: "shardId-000000000000" } as const;
const SHARD_1 = { ...WHERE, shardId: "shardId-000000000001" } as const;

/** What can stand in an attribute: error texts and names that other systems chose. */
const ODD_VALUES = [
  "",
  " ",
  "a|b",
  "a:b",
  "a,b=c",
  "#a",
  "@1",
  `"quoted"`,
  "back\\slash",
  "line\nbreak",
  "注文🦊",
  "constructor",
  "x".repeat(1000),
];

const addScenarios: readonly CounterScenario[] = [
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

const setScenarios: readonly CounterScenario[] = [
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
  {
    key: "set.over",
    title: "undefined ends a series, and it alone",
    async run({ harness }) {
      const counter = harness.open();
      counter.set("lag", 7, SHARD_0);
      counter.set("lag", 8, SHARD_1);
      counter.set("lag", undefined, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "the series that is over").toBeUndefined();
      expect(await harness.read("lag", SHARD_1), "another").toBe(8);
    },
  },
  {
    key: "set.again",
    title: "a series that is over, or never was, can end again, and begin again",
    async run({ harness }) {
      const counter = harness.open();
      const end = (): void => counter.set("lag", undefined, SHARD_0);
      expect(end, "ending a series that never was").not.toThrow();
      counter.set("lag", 1, SHARD_0);
      end();
      expect(end, "ending a series twice").not.toThrow();
      counter.set("lag", 2, SHARD_0);
      expect(await harness.read("lag", SHARD_0)).toBe(2);
    },
  },
];

const sharedScenarios: readonly CounterScenario[] = [
  {
    key: "shared.registry",
    title: "two counters on one registry add to the same totals",
    async run({ harness }) {
      const one = harness.open();
      one.add("records", 1, SHARD_0);
      expect(() => harness.open().add("records", 2, SHARD_0), "a second counter").not.toThrow();
      one.add("records", 4, SHARD_0);
      expect(await harness.read("records", SHARD_0)).toBe(7);
    },
  },
  {
    key: "shared.nothing",
    title: "two harnesses share no registry",
    async run({ harness, make }) {
      harness.open().add("records", 1, SHARD_0);
      const other = await make();
      expect((await other.read("records", SHARD_0)) ?? 0).toBe(0);
    },
  },
];

const metricScenarios: readonly CounterScenario[] = Object.entries(METRICS).map(
  ([name, { kind, attributes: own }]) => ({
    key: `metric.${name}`,
    title: `${name} is shown under its own attributes`,
    async run({ harness }) {
      const counter = harness.open();
      const attributes = Object.fromEntries([
        ...own.map((attribute) => [attribute, `some-${attribute}`]),
        ...Object.entries(WHERE),
      ]);
      // The map's names and kinds cannot be told apart by the compiler in a loop over them.
      if (kind === "counter") counter.add(name as "records", 3, attributes as typeof SHARD_0);
      else counter.set(name as "lag", 3, attributes as typeof SHARD_0);
      expect(await harness.read(name as "lag", attributes as typeof SHARD_0)).toBe(3);
    },
  }),
);

const oddScenarios: readonly CounterScenario[] = [
  {
    key: "odd.values",
    title: "no attribute's value makes it throw, or lose what is added",
    async run({ harness }) {
      const counter = harness.open();
      for (const shardId of ODD_VALUES) {
        const attributes = { ...WHERE, shardId };
        const shown = JSON.stringify(shardId.slice(0, 20));
        expect(() => counter.add("records", 2, attributes), shown).not.toThrow();
        expect(() => counter.set("lag", 2, attributes), shown).not.toThrow();
        expect(await harness.read("lag", attributes), shown).toBe(2);
        // Values that the adapter has to make equal share a total: it is never smaller.
        const total = (await harness.read("records", attributes)) ?? 0;
        expect(total, shown).toBeGreaterThanOrEqual(2);
      }
    },
  },
  {
    key: "odd.synchronous",
    title: "add and set answer with nothing, at once",
    async run({ harness }) {
      const counter: object = harness.open();
      const call = (method: string, ...values: readonly unknown[]): unknown =>
        Reflect.apply(Reflect.get(counter, method), counter, values);
      expect(call("add", "records", 1, SHARD_0), "add").toBeUndefined();
      expect(call("set", "lag", 1, SHARD_0), "set").toBeUndefined();
    },
  },
];

/** Every promise of a Counter. */
export const COUNTER_SCENARIOS: readonly CounterScenario[] = collectScenarios(
  addScenarios,
  setScenarios,
  sharedScenarios,
  metricScenarios,
  oddScenarios,
);
