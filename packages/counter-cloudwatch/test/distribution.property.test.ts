import fc from "fast-check";
import { expect, test } from "vitest";
import { DistributionBuilder } from "../src/distribution.ts";

const value = fc.oneof(
  fc.constant(0),
  fc.double({ min: 0, max: 1e7, noNaN: true }),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

test("whatever comes, there are few values, and count and sum are true", () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 500 }), (recorded) => {
      const builder = new DistributionBuilder();
      for (const each of recorded) builder.record(each);
      const { values, counts, count } = builder.build();
      expect(values.length).toBeLessThanOrEqual(100);
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
  expect(values.length).toBeGreaterThan(50);
  expect(values.length).toBeLessThanOrEqual(100);
  for (const [i, each] of values.entries()) if (i > 0) expect(each).toBeGreaterThan(values[i - 1]!);
});
