import { counterConformance, type CounterHarness } from "@kc/conformance";
import { METRICS, type MetricName } from "@kc/core";
import { CloudWatchCounter, cloudWatchDimensions, cloudWatchName } from "../src/index.ts";
import { startCloudWatch } from "./support/cloudwatch.ts";
import { directiveOf } from "./support/emf-schema.ts";
import { Lines } from "./support/lines.ts";

/** One metric's values in one interval, and how often each came. */
interface Sent {
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly values: readonly number[];
  readonly counts: readonly number[];
}

/** Values that lie so near each other may be sent as their mean, or stand for an equal share of all. */
const SPREAD = 1.05;

/**
 * What CloudWatch shows of what was sent: sums of counters, and gauges that are still reported.
 * `mostValues` = as many of a histogram in an interval may be a sample.
 */
function harness(
  open: () => CloudWatchCounter,
  sent: () => readonly Sent[],
  close: () => Promise<void>,
  mostValues: number = Infinity,
): CounterHarness {
  const counters: CloudWatchCounter[] = [];
  const flush = async (): Promise<number> => {
    const before = sent().length;
    for (const counter of counters) await counter.flush();
    return before;
  };
  const ofSeries = (
    metric: MetricName,
    attributes: Readonly<Record<string, string>>,
    from: number,
  ) => {
    const wanted = Object.entries(cloudWatchDimensions(attributes));
    return sent()
      .slice(from)
      .filter(
        ({ name, dimensions }) =>
          name === cloudWatchName(metric).name &&
          Object.keys(dimensions).length === wanted.length &&
          wanted.every(([dimension, value]) => dimensions[dimension] === value),
      );
  };
  const total = (all: readonly Sent[], of: (value: number) => number): number =>
    all
      .flatMap(({ values, counts }) => values.map((value, i) => of(value) * counts[i]!))
      .reduce((sum, value) => sum + value, 0);
  return {
    open: () => {
      const counter = open();
      counters.push(counter);
      return counter;
    },
    async read(metric, attributes) {
      const before = await flush();
      if (METRICS[metric].kind === "gauge")
        return ofSeries(metric, attributes, before).at(-1)?.values[0];
      const all = ofSeries(metric, attributes, 0);
      return all.length === 0 ? undefined : total(all, (value) => value);
    },
    async readHistogram(metric, attributes) {
      const before = await flush();
      const all = ofSeries(metric, attributes, 0);
      if (all.length === 0) return undefined;
      const buckets = all.flatMap(({ values, counts }) =>
        values.map((value, i) => ({
          from: value / SPREAD,
          to: value * SPREAD,
          count: counts[i]!,
        })),
      );
      const ofInterval = total(ofSeries(metric, attributes, before), () => 1);
      return {
        count: total(all, () => 1),
        sum: total(all, (value) => value),
        isSample: ofInterval >= mostValues,
        buckets,
      };
    },
    async [Symbol.asyncDispose]() {
      for (const counter of counters) await counter[Symbol.asyncDispose]();
      await close();
    },
  };
}

const kept = "CloudWatch keeps what was counted; a counter that is over counts no more";
const knownGaps = {
  "remove.counter": kept,
  "remove.restart": kept,
  "remove.handles": "each counter sends for itself; CloudWatch keeps what it was sent",
};

counterConformance(
  "CloudWatchCounter, embedded metric format",
  async () => {
    const output = new Lines();
    const sent = (): readonly Sent[] =>
      output.documents.flatMap((document) => {
        const { Dimensions, Metrics } = directiveOf(document);
        const names = Dimensions.flat();
        const dimensions = Object.fromEntries(names.map((name) => [name, String(document[name])]));
        return Metrics.map(({ Name }) => {
          const values = [document[Name]].flat() as number[];
          return { name: Name, dimensions, values, counts: values.map(() => 1) };
        });
      });
    return harness(
      () => new CloudWatchCounter({ output, perShard: true }),
      sent,
      async () => {},
      1000,
    );
  },
  { knownGaps },
);

counterConformance(
  "CloudWatchCounter, PutMetricData",
  async () => {
    const cloudWatch = await startCloudWatch();
    const { client, requests } = cloudWatch;
    const sent = (): readonly Sent[] =>
      requests.flatMap(({ MetricData }) =>
        MetricData.map(({ MetricName, Dimensions, Value, Values = [Value!], Counts = [1] }) => ({
          name: MetricName,
          dimensions: Object.fromEntries(Dimensions.map((each) => [each.Name, each.Value])),
          values: Values,
          counts: Counts,
        })),
      );
    return harness(
      () => new CloudWatchCounter({ client, perShard: true }),
      sent,
      async () => cloudWatch[Symbol.asyncDispose](),
    );
  },
  { knownGaps },
);
