import { METRICS, type MetricAttributes } from "@kc/core";
import { expect } from "vitest";
import { collectScenarios } from "../scenario.ts";
import type { CounterScenario } from "./harness.ts";

const WHERE = { stream: "orders", application: "billing" } as const;
const SHARD_0 = { ...WHERE, shardId: "shardId-000000000000" } as const;
const SHARD_1 = { ...WHERE, shardId: "shardId-000000000001" } as const;

/** Series that live, or have been, at once. */
const MANY = 3000;
/** Whoever collects keeps up: datagrams that nobody reads are lost. */
const BETWEEN_READS = 100;

/** What can stand in an attribute: error texts and names that other systems chose. */
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

const addScenarios: readonly CounterScenario[] = [
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

const manyScenarios: readonly CounterScenario[] = [
  {
    key: "many.live",
    title: "3,000 series are shown, each with its own figure",
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

const setScenarios: readonly CounterScenario[] = [
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

const recordScenarios: readonly CounterScenario[] = [
  {
    key: "record.many",
    title: "10,000 values are all counted and summed up",
    async run({ harness }) {
      const counter = harness.open();
      for (let n = 1; n <= 10_000; n += 1) {
        counter.record("poll_duration", n, WHERE);
        if (n % BETWEEN_READS === 0) await harness.readHistogram("poll_duration", WHERE);
      }
      const reading = await harness.readHistogram("poll_duration", WHERE);
      // Some formats carry a limited number of values: what they come to on average is true.
      const { count = 0, sum = 0 } = reading ?? {};
      expect(sum / count, "the mean").toBeCloseTo(5000.5, 3);
      expect(count, "its count").toBeGreaterThanOrEqual(1000);
    },
  },
  {
    key: "record.values",
    title: "a histogram counts its values and sums them up, 0 and fractions too",
    async run({ harness }) {
      const counter = harness.open();
      for (const value of [0, 0.25, 3, 3, 60_000]) {
        counter.record("handler_duration", value, WHERE);
      }
      const reading = await harness.readHistogram("handler_duration", WHERE);
      expect(reading?.count, "its count").toBe(5);
      expect(reading?.sum, "its sum").toBeCloseTo(60_006.25, 3);
    },
  },
  {
    key: "record.series",
    title: "histograms differ by name and attributes",
    async run({ harness }) {
      const counter = harness.open();
      counter.record("handler_duration", 1, WHERE);
      counter.record("poll_duration", 2, WHERE);
      counter.record("handler_duration", 4, { ...WHERE, application: "audit" });
      const reading = await harness.readHistogram("handler_duration", WHERE);
      expect(reading?.count, "its count").toBe(1);
      expect(reading?.sum, "its sum").toBeCloseTo(1, 3);
    },
  },
];

const removeScenarios: readonly CounterScenario[] = [
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

const foldedScenarios: readonly CounterScenario[] = [
  {
    key: "folded.shards",
    title: "figures of shards without the attribute shardId are series of their own",
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
      // The map's names and kinds cannot be told apart by the compiler in a loop over them.
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
        // Values that the adapter has to make equal share a total: it is never smaller.
        const total = (await harness.read("records", attributes)) ?? 0;
        expect(total, shown).toBeGreaterThanOrEqual(2);
      }
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

/** Every promise of a Counter. */
export const COUNTER_SCENARIOS: readonly CounterScenario[] = collectScenarios(
  addScenarios,
  manyScenarios,
  setScenarios,
  recordScenarios,
  removeScenarios,
  foldedScenarios,
  sharedScenarios,
  metricScenarios,
  oddScenarios,
);
