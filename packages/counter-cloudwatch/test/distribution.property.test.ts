import fc from "fast-check";
import { expect, test } from "vitest";
import { DistributionBuilder, samplesOf } from "../src/distribution.ts";

const value = fc.oneof(
  fc.constant(0),
  fc.double({ min: 0, max: 1e7, noNaN: true }),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

test("whatever comes, there are few values, and count and sum are true", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 2000 }), (recorded) => {
      const builder = new DistributionBuilder();
      for (const each of recorded) builder.record(each);
      const { values, counts, count } = builder.build();
      expect(values.length).toBeLessThanOrEqual(500);
      expect(count).toBe(recorded.length);
      const sum = values.reduce((total, each, i) => total + each * counts[i]!, 0);
      const expected = recorded.reduce((total, each) => total + each, 0);
      expect(Math.abs(sum - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, expected));
      expect(Math.max(...values)).toBeLessThanOrEqual(Math.max(...recorded) * (1 + 1e-9));
    }),
  );
});

test("values within two percent become one, and values that are alike stay apart from others", () => {
  const builder = new DistributionBuilder();
  for (let n = 0; n < 1000; n += 1) builder.record(100 + (n % 10) / 10);
  builder.record(5000);
  builder.record(0);
  const { values, counts } = builder.build();
  const told = new Map(values.map((each, i) => [Math.round(each), counts[i]]));
  expect(told.get(5000)).toBe(1);
  expect(told.get(0)).toBe(1);
  expect([...told.keys()].filter((each) => Math.abs(each - 100) <= 1).length).toBeGreaterThan(0);
});

test("a millisecond and an hour in one interval: coarser, and the large stay large", () => {
  const builder = new DistributionBuilder();
  for (let exponent = 0; exponent < 600; exponent += 1) builder.record(1.04 ** exponent);
  const { values } = builder.build();
  expect(values.length).toBeGreaterThan(250);
  expect(values.length).toBeLessThanOrEqual(500);
  for (const [i, each] of values.entries()) if (i > 0) expect(each).toBeGreaterThan(values[i - 1]!);
});

const percentile = (sorted: readonly number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))]!;

/** Mean, p50 and p99 of what was recorded, and of what was reported of it. */
function compared(recorded: readonly number[], most: number): Record<string, [number, number]> {
  const builder = new DistributionBuilder();
  for (const each of recorded) builder.record(each);
  const told = samplesOf(builder.build(), most);
  const sorted = recorded.toSorted((a, b) => a - b);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, each) => sum + each, 0) / values.length;
  return {
    mean: [mean(recorded), mean(told)],
    p50: [percentile(sorted, 0.5), percentile(told, 0.5)],
    p99: [percentile(sorted, 0.99), percentile(told, 0.99)],
  };
}

/** In [0, 1), the same each time. */
const evenly = (n: number): number => (n * 0.618_033_988_749_895) % 1;

test.each<[string, (n: number) => number]>([
  ["8 ms, and one in a thousand of 1 to 30 s", (n) => (n % 1000 ? 8 : 1000 + (n / 1000) * 966)],
  ["even from 0 to 100", (n) => evenly(n) * 100],
  ["exponential", (n) => -20 * Math.log(1 - evenly(n))],
  ["log-normal", (n) => Math.exp(3 + 2 * Math.sqrt(-2 * Math.log(1 - evenly(n))) * Math.cos(n))],
  ["microseconds, a few of them minutes", (n) => (n % 5000 ? 0.002 + evenly(n) / 1000 : 90_000)],
])("of 30,000 values, a thousand show mean, p50 and p99 within five percent: %s", (_, valueOf) => {
  const statistics = compared(
    Array.from({ length: 30_000 }, (_each, n) => valueOf(n)),
    1000,
  );
  for (const [name, [expected, reported]] of Object.entries(statistics)) {
    expect(Math.abs(reported / expected - 1), `${name}: ${reported} for ${expected}`).toBeLessThan(
      0.05,
    );
  }
});

test("the reported mean is that of all values, and every value is reported, up to the limit", () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 100 }),
      (recorded, most) => {
        const builder = new DistributionBuilder();
        for (const each of recorded) builder.record(each);
        const told = samplesOf(builder.build(), most);
        expect(told).toHaveLength(Math.min(most, recorded.length));
        const sum = told.reduce((total, each) => total + each, 0) / told.length;
        const expected = recorded.reduce((total, each) => total + each, 0) / recorded.length;
        expect(Math.abs(sum - expected)).toBeLessThanOrEqual(1e-6 * Math.max(1, expected));
      },
    ),
  );
});
