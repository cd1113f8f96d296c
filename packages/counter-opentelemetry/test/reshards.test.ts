import { diag } from "@opentelemetry/api";
import { AggregationTemporality } from "@opentelemetry/sdk-metrics";
import { beforeEach, expect, test } from "vitest";
import { reshardHourly, type Reshards } from "../../core/test/support/reshards.ts";
import { OpenTelemetryCounter } from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";

const { DELTA, CUMULATIVE } = AggregationTemporality;
const SHARDS = 100;
/** Of each instrument: a day's shards are beyond the one, and within the other, which is the README's. */
const [LOW, HIGH] = [500, 20_000];

beforeEach(() => diag.disable());

/** Of each hour, how many series there are of `lag` and of its largest. */
async function reshard(
  temporality: AggregationTemporality,
  limit: number,
): Promise<Reshards & { readonly largest: readonly number[] }> {
  const views = [{ meterName: "@kc/counter-opentelemetry", aggregationCardinalityLimit: limit }];
  await using metrics = new TestMetrics(temporality, views);
  const counter = new OpenTelemetryCounter({ meterProvider: metrics.provider });
  const largest: number[] = [];
  const reshards = await reshardHourly(counter, SHARDS, async () => {
    // Series that are over are observed once more.
    await metrics.collect();
    const shown = await metrics.collect();
    const count = (wanted: string): number => shown.filter(({ name }) => name === wanted).length;
    largest.push(count("kinesis.consumer.lag.max"));
    return count("kinesis.consumer.lag");
  });
  return { ...reshards, largest };
}

test("with deltas and the View of the README, a day of hourly reshards leaves the series of the last shards", async () => {
  const { readings, largest } = await reshard(DELTA, HIGH);
  expect(new Set(readings)).toEqual(new Set([SHARDS]));
  expect(new Set(largest)).toEqual(new Set([1]));
});

test.each([
  ["delta", DELTA],
  ["cumulative", CUMULATIVE],
] as const)(
  "a day of hourly reshards ends at the SDK's limit of series, but for the largest lag: %s",
  async (_name, temporality) => {
    const { readings, largest, heapGrowth } = await reshard(temporality, LOW);
    expect(Math.max(...readings)).toBeLessThanOrEqual(LOW);
    expect(new Set(largest)).toEqual(new Set([1]));
    expect(heapGrowth).toBeLessThan(4e6);
  },
);
