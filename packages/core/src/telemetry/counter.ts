import type { CounterName, GaugeName, HistogramName, MetricAttributes } from "./metrics.ts";

/**
 * Receives metrics: a few calls for each page (not for each record), and some for each shard every second. It must
 * not block. If it throws, the scan continues, the failed call is counted, and the first failure is logged. Only
 * `add` is required: without the other methods, metrics of those kinds are left out. All series of a shard with
 * equal attributes share one attributes object, so an adapter can cache what it derives from it in a WeakMap.
 */
export interface Counter {
  /**
   * Adds to a counter. `value` is an integer of at least 0. With 0 the series only becomes visible: a series whose
   * first value is above 0 has no rate.
   */
  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void;

  /** Sets a gauge. */
  set?<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void;

  /** Records one value in a histogram. */
  record?<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void;

  /**
   * Removes a series, because its shard is no longer read here. It may begin again, and a counter then starts from
   * 0. Also called for series that do not exist.
   */
  remove?<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): void;

  /**
   * Whether each shard has its own series. If false, counters have no `shardId`, and gauges are the maximum, minimum
   * or sum over all shards of the process. @default true
   */
  readonly perShard?: boolean;

  /**
   * The object that holds the series. If two consumers of one process report the same series to one registry, their
   * gauges are combined, and the last consumer removes the series. @default the counter itself
   */
  readonly registry?: object;

  /** Number of values that it accepted but could not deliver, since it was created. @default 0 */
  readonly dropped?: number;
}
