import { counterMutant as mutant, kept, type CounterMutant } from "../support/counter-mutant.ts";
import {
  counterHarness,
  readingOf,
  ReferenceCounter,
  type ReferenceHistogram,
  ReferenceRegistry,
  seriesKey,
} from "../support/reference-counter.ts";

type Attributes = Readonly<Record<string, string>>;

const callsOf = kept(() => ({ count: 0 }));

/** Shows something else than a histogram is. */
const shows = (
  name: string,
  caughtBy: string,
  change: (histogram: ReferenceHistogram) => ReturnType<typeof readingOf>,
): CounterMutant => ({
  name,
  caughtBy,
  async makeHarness() {
    const registry = new ReferenceRegistry();
    const harness = counterHarness(ReferenceCounter, registry);
    return {
      ...harness,
      async readHistogram(metric, attributes) {
        const histogram = registry.histograms.get(seriesKey(metric, attributes));
        return histogram && change(histogram);
      },
    };
  },
});

export const HISTOGRAM_MUTANTS: readonly CounterMutant[] = [
  mutant(
    "leaves a value of 0 out of a histogram",
    "record.values",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        if (value !== 0) super.record(name, value, attributes);
      }
    },
  ),
  mutant(
    "rounds what it records",
    "record.values",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        super.record(name, Math.round(value), attributes);
      }
    },
  ),
  mutant(
    "keeps one histogram for all",
    "record.series",
    class extends ReferenceCounter {
      override record(_name: string, value: number, attributes: Attributes): void {
        for (const name of ["handler_duration", "poll_duration"]) {
          super.record(name, value, attributes);
        }
      }
    },
  ),
  mutant(
    "stops its histograms at 1,000 values",
    "record.many",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        const { count = 0 } = this.registry.histograms.get(this.key(name, attributes)) ?? {};
        if (count < 1000) super.record(name, value, attributes);
      }
    },
  ),
  mutant(
    "loses a tenth of its values, evenly",
    "record.many",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        const calls = (callsOf(this.registry).count += 1);
        // Of each twenty the first and the last: what is left of 10,000 in a row has the same mean.
        if (calls % 20 > 1) super.record(name, value, attributes);
      }
    },
  ),
  shows("shows a p99 of a tenth", "record.many", (histogram) => {
    const p99 = histogram.values.toSorted((a, b) => a - b)[histogram.count * 0.98]!;
    const values = histogram.values.map((value) => (value > p99 ? value / 10 : value));
    return readingOf({ ...histogram, values });
  }),
  mutant(
    "sums right, and sorts into buckets by microseconds",
    "record.normal",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        super.record(name, value, attributes);
        const { values } = this.registry.histograms.get(this.key(name, attributes))!;
        values.push(values.pop()! * 1000);
      }
    },
  ),
  shows("has one bucket for all", "record.lognormal", ({ count, sum }) => ({
    count,
    sum,
    buckets: [{ from: 0, to: Infinity, count }],
  })),
  shows("shows each value as the mean", "record.bimodal", ({ count, sum }) => ({
    count,
    sum,
    buckets: [{ from: sum / count, to: sum / count, count }],
  })),
  mutant(
    "takes a value that comes again for a repetition",
    "record.constant",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        const { values } = this.registry.histograms.get(this.key(name, attributes)) ?? {};
        if (values?.at(-1) !== value) super.record(name, value, attributes);
      }
    },
  ),
  {
    name: "keeps the last 1,000 values between two readings",
    caughtBy: "record.uniform",
    async makeHarness() {
      const registry = new ReferenceRegistry();
      const harness = counterHarness(ReferenceCounter, registry);
      let shown = 0;
      return {
        ...harness,
        async readHistogram(metric, attributes) {
          const histogram = registry.histograms.get(seriesKey(metric, attributes));
          if (histogram === undefined) return undefined;
          const lost = Math.max(0, histogram.values.length - shown - 1000);
          for (const value of histogram.values.splice(shown, lost)) {
            histogram.count -= 1;
            histogram.sum -= value;
          }
          shown = histogram.values.length;
          return readingOf(histogram);
        },
      };
    },
  },
  shows("samples the smaller values alone", "record.uniform", ({ values }) => {
    const smaller = values.toSorted((a, b) => a - b).slice(0, 5000);
    const sum = smaller.reduce((total, value) => total + value, 0);
    return { ...readingOf({ count: smaller.length, sum, values: smaller }), isSample: true };
  }),
  shows("takes a hundred values for a sample", "record.normal", ({ count, sum, values }) => {
    const sorted = values.toSorted((a, b) => a - b);
    const picked = Array.from({ length: 100 }, (_, i) => sorted[i * 100 + 50]!);
    return {
      ...readingOf({ count: 100, sum: (sum / count) * 100, values: picked }),
      isSample: true,
    };
  }),
  shows("leaves values out of its buckets", "record.lognormal", (histogram) =>
    readingOf({ ...histogram, values: histogram.values.filter((_, i) => i % 10 !== 0) }),
  ),
  mutant(
    "clips what takes longer than a minute",
    "record.values",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        super.record(name, Math.min(value, 60_000), attributes);
      }
    },
  ),
  mutant(
    "rounds to hundredths of a millisecond",
    "record.small",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        super.record(name, Math.round(value * 100) / 100, attributes);
      }
    },
  ),
];
