import { METRICS } from "@kc/core";
import { expect } from "vitest";
import { collectScenarios } from "../scenario.ts";
import { SHARD_0, WHERE } from "./attributes.ts";
import { VALUE_SCENARIOS } from "./values.ts";
import type { CounterScenario } from "./harness.ts";
import { HISTOGRAM_SCENARIOS } from "./histograms.ts";
import { REMOVAL_SCENARIOS } from "./removals.ts";

/** Possible contents of attributes: error texts and names from other systems. */
const ODD_VALUES = [
  "",
  " ",
  "a|b",
  "a:b",
  ":a",
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

const foldedScenarios: readonly CounterScenario[] = [
  {
    key: "folded.shards",
    title: "metrics of shards without the attribute shardId are separate series",
    async run({ harness }) {
      const counter = harness.open();
      counter.add("records", 1, SHARD_0);
      counter.add("records", 2, WHERE);
      counter.add("records", 4, WHERE);
      counter.set("lag", 8, WHERE);
      expect(await harness.read("records", WHERE), "the folded counter").toBe(6);
      expect(await harness.read("records", SHARD_0), "a shard's").toBe(1);
      expect(await harness.read("lag", WHERE), "the folded gauge").toBe(8);
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
    key: "shared.gauge",
    title: "a gauge shows what any counter of a registry set last",
    async run({ harness }) {
      const [one, other] = [harness.open(), harness.open()];
      one.set("lag", 7, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "by the one").toBe(7);
      other.set("lag", 8, SHARD_0);
      expect(await harness.read("lag", SHARD_0), "by the other").toBe(8);
    },
  },
  {
    key: "shared.histogram",
    title: "two counters on one registry record into the same histograms",
    async run({ harness }) {
      const [one, other] = [harness.open(), harness.open()];
      one.record("handler_duration", 1, WHERE);
      other.record("handler_duration", 2, WHERE);
      one.record("handler_duration", 4, WHERE);
      const reading = await harness.readHistogram("handler_duration", WHERE);
      expect(reading).toMatchObject({ count: 3, sum: expect.closeTo(7, 3) });
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
      // In a loop over the map, the compiler cannot connect names and kinds.
      const attributes = Object.fromEntries([
        ...own.map((attribute) => [attribute, `some-${attribute}`]),
        ...Object.entries(WHERE),
      ]) as typeof SHARD_0;
      if (kind === "histogram") {
        counter.record(name as "poll_duration", 3, attributes);
        const reading = await harness.readHistogram(name as "poll_duration", attributes);
        expect(reading).toMatchObject({ count: 1, sum: expect.closeTo(3, 3) });
        return;
      }
      if (kind === "counter") counter.add(name as "records", 3, attributes);
      else counter.set(name as "lag", 3, attributes);
      expect(await harness.read(name as "lag", attributes)).toBe(3);
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
        // Values that the adapter maps to the same series share a total, which is never smaller.
        const total = (await harness.read("records", attributes)) ?? 0;
        expect(total, shown).toBeGreaterThanOrEqual(2);
      }
    },
  },
  {
    key: "odd.frozen",
    title: "attributes may be frozen: a series' object is shared by all calls",
    async run({ harness }) {
      const counter = harness.open();
      const [shard, where] = [Object.freeze({ ...SHARD_0 }), Object.freeze({ ...WHERE })];
      expect(() => {
        counter.add("records", 1, shard);
        counter.set("lag", 2, shard);
        counter.record("poll_duration", 3, where);
      }, "frozen attributes").not.toThrow();
      expect(await harness.read("records", shard), "a counter").toBe(1);
      expect(await harness.read("lag", shard), "a gauge").toBe(2);
      const histogram = await harness.readHistogram("poll_duration", where);
      expect(histogram?.count, "a histogram").toBe(1);
    },
  },
  {
    key: "odd.synchronous",
    title: "every method answers with nothing, at once",
    async run({ harness }) {
      const counter: object = harness.open();
      const call = (method: string, ...values: readonly unknown[]): unknown =>
        Reflect.apply(Reflect.get(counter, method), counter, values);
      expect(call("add", "records", 1, SHARD_0), "add").toBeUndefined();
      expect(call("set", "lag", 1, SHARD_0), "set").toBeUndefined();
      expect(call("record", "poll_duration", 1, WHERE), "record").toBeUndefined();
      expect(call("remove", "lag", SHARD_0), "remove").toBeUndefined();
    },
  },
];

/** All scenarios of a Counter. */
export const COUNTER_SCENARIOS: readonly CounterScenario[] = collectScenarios(
  VALUE_SCENARIOS,
  HISTOGRAM_SCENARIOS,
  REMOVAL_SCENARIOS,
  foldedScenarios,
  sharedScenarios,
  metricScenarios,
  oddScenarios,
);
