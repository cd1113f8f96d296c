import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/** A counter that supports metrics of every kind. */
export type WholeCounter = Counter & Required<Pick<Counter, "set" | "record" | "remove">>;

/**
 * Creates an adapter's counters on one registry (or agent, or log) and reads the reported metrics.
 */
export interface CounterHarness extends AsyncDisposable {
  /** Creates another counter on the same registry, as a second consumer of the process would. */
  open(): WholeCounter;

  /**
   * The current total of a counter, or a gauge's value, as a monitoring system sees it; `undefined`
   * if there is no such series. If the adapter must rewrite a name or an attribute (StatsD allows
   * no `|`), this method does the same.
   */
  read<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): Promise<number | undefined>;

  /** The same for a histogram, in the unit of core's map. */
  readHistogram<Name extends HistogramName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): Promise<HistogramReading | undefined>;
}

export interface HistogramReading {
  readonly count: number;
  readonly sum: number;
  /**
   * True if the format reports a sample with the mean and the quantiles of all values: `count` may
   * be smaller than the number of recorded values, but not below 1,000 of 10,000. @default false
   */
  readonly isSample?: boolean;
  /**
   * The distribution of the values; the counts add up to `count`. The suite computes quantiles from
   * them. Absent if the format has only count and sum.
   */
  readonly buckets?: readonly HistogramBucket[];
}

/**
 * A range of values, in the unit of core's map, and the number of values in it. For an exact value,
 * `from` equals `to`.
 */
export interface HistogramBucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export type CounterScenario = Scenario<CounterHarness>;
