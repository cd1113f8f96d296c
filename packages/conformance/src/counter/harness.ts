import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/** A counter that takes metrics of every kind. */
export type WholeCounter = Counter & Required<Pick<Counter, "set" | "record" | "remove">>;

/** Makes an adapter's counters on one registry (or agent, or log) and reads back what it shows. */
export interface CounterHarness extends AsyncDisposable {
  /** One more counter on the same registry, as a second consumer of the process would make it. */
  open(): WholeCounter;

  /**
   * The total of a counter, or a gauge's value, as the metrics' reader would see it now; undefined
   * = there is no such series. Where the adapter must rewrite a name or an attribute (StatsD has no
   * `|`), so does this.
   */
  read<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): Promise<number | undefined>;

  /** What a histogram has taken in, likewise, in the unit of core's map. */
  readHistogram<Name extends HistogramName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): Promise<HistogramReading | undefined>;
}

export interface HistogramReading {
  readonly count: number;
  readonly sum: number;
  /**
   * True = the format carries a part of the values, with the mean and the quantiles of all: `count` may be
   * smaller than what was recorded, but not below 1,000 of 10,000. @default false
   */
  readonly isSample?: boolean;
  /**
   * Where the values lie; together they have `count`. The suite takes quantiles from them. Absent = the
   * format has no more than count and sum.
   */
  readonly buckets?: readonly HistogramBucket[];
}

/** A range of values, in the unit of core's map, and how many lie in it. An exact value: `from` is `to`. */
export interface HistogramBucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export type CounterScenario = Scenario<CounterHarness>;
