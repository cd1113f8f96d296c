import { expect } from "vitest";
import { WHERE } from "./attributes.ts";
import { DISTRIBUTIONS, quantile, VALUES } from "./distributions.ts";
import type { CounterScenario, HistogramBucket, HistogramReading } from "./harness.ts";

/** The collector must keep up: unread datagrams are lost. */
const AT_ONCE = 100;
const BETWEEN_READS = 1000;
/** A p99 of fewer values is not reliable. */
const SMALLEST_SAMPLE = 1000;
/** A wider bucket would not even determine the order of magnitude. */
const WIDEST_BUCKET = 4;
/** The rounding error of adapters that convert to seconds. */
const ROUNDING = 1e-6;

/** All scenarios of histograms. */
export const HISTOGRAM_SCENARIOS: readonly CounterScenario[] = [
  {
    key: "record.many",
    title: "10,000 values are all there, however often they are read meanwhile",
    async run({ harness }) {
      const counter = harness.open();
      const recorded = Array.from({ length: VALUES }, (_, index) => index + 1);
      for (const value of recorded) {
        counter.record("poll_duration", value, WHERE);
        if (value % AT_ONCE === 0) await new Promise(setImmediate);
        if (value % BETWEEN_READS === 0) await harness.readHistogram("poll_duration", WHERE);
      }
      expectReading(await harness.readHistogram("poll_duration", WHERE), recorded);
    },
  },
  ...Object.entries(DISTRIBUTIONS).map(
    ([name, recorded]) =>
      ({
        key: `record.${name}`,
        title: `10,000 values between two readings keep their mean, p50 and p99: ${name}`,
        async run({ harness }) {
          const counter = harness.open();
          for (const [index, value] of recorded.entries()) {
            counter.record("poll_duration", value, WHERE);
            if (index % AT_ONCE === 0) await new Promise(setImmediate);
          }
          expectReading(await harness.readHistogram("poll_duration", WHERE), recorded);
        },
      }) satisfies CounterScenario,
  ),
  {
    key: "record.small",
    title: "values of a few microseconds come to their sum",
    async run({ harness }) {
      const counter = harness.open();
      for (let n = 0; n < SMALLEST_SAMPLE; n += 1) {
        counter.record("handler_duration", 0.004, WHERE);
        if (n % AT_ONCE === 0) await new Promise(setImmediate);
      }
      const reading = await harness.readHistogram("handler_duration", WHERE);
      expect(reading).toMatchObject({ count: SMALLEST_SAMPLE, sum: expect.closeTo(4, 3) });
    },
  },
  {
    key: "record.values",
    title: "a histogram counts its values and sums them up, 0, fractions and hours too",
    async run({ harness }) {
      const counter = harness.open();
      for (const value of [0, 0.25, 3, 3, 3_600_000]) {
        counter.record("handler_duration", value, WHERE);
      }
      const reading = await harness.readHistogram("handler_duration", WHERE);
      expect(reading?.count, "its count").toBe(5);
      expect(reading?.sum, "its sum").toBeCloseTo(3_600_006.25, 3);
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

/**
 * Fails unless the reading has all recorded values, or a sample with the same mean and quantiles.
 */
function expectReading(reading: HistogramReading | undefined, recorded: readonly number[]): void {
  const { count, sum, isSample = false, buckets } = reading ?? { count: 0, sum: 0 };
  if (isSample) expect(count, "its sample").toBeGreaterThanOrEqual(SMALLEST_SAMPLE);
  else expect(count, "its count").toBe(recorded.length);
  const mean = recorded.reduce((total, value) => total + value, 0) / recorded.length;
  expect(sum / count / mean, "its mean, by that of the values").toBeCloseTo(1, 6);
  if (buckets === undefined) return;
  const inBuckets = buckets.reduce((total, bucket) => total + bucket.count, 0);
  expect(inBuckets, "the count of its buckets").toBe(count);
  for (const q of [0.5, 0.99]) {
    const value = quantile(recorded, q);
    const { from, to } = bucketOf(buckets, q * count);
    const shown = `${q}: ${value} is shown as ${from} to ${to}`;
    expect(from, shown).toBeLessThanOrEqual(value * (1 + ROUNDING));
    expect(to, shown).toBeGreaterThanOrEqual(value * (1 - ROUNDING));
    expect(to, `${shown}: too wide`).toBeLessThanOrEqual(from * WIDEST_BUCKET);
  }
}

/** The bucket that contains the value of this rank. */
function bucketOf(buckets: readonly HistogramBucket[], rank: number): HistogramBucket {
  const ascending = buckets.toSorted((a, b) => a.from - b.from);
  let sofar = 0;
  return ascending.find(({ count }) => (sofar += count) >= rank) ?? ascending.at(-1)!;
}
