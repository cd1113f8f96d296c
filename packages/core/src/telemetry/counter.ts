import type { CounterName, GaugeName, HistogramName, MetricAttributes } from "./metrics.ts";

/**
 * Where metrics go. Called a few times for each page, not for each record, and once a second for
 * each shard. It must not block. If it throws, the scan continues, the failed call is counted, and the
 * first failure is logged. Only `add` is needed: without the others, metrics of those kinds are left out.
 * All series of a shard that have the same attributes come with one and the same attributes object: an adapter
 * can keep what it derives from the attributes in a WeakMap.
 */
export interface Counter {
  /**
   * Adds to a counter. `value` is a whole number from 0: with 0 a series appears before it counts, since
   * what is first seen above 0 has no rate.
   */
  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void;

  /** Sets a gauge. */
  set?<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void;

  /** Puts one value into a histogram. */
  record?<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void;

  /**
   * A series is over: its shard is no longer read here. It may begin again, and a counter then begins at 0.
   * Also called for series that never began.
   */
  remove?<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): void;

  /**
   * False = shards are not separated: counters come without `shardId`, gauges as the largest or
   * the sum over all shards of the process. @default true
   */
  readonly perShard?: boolean;

  /**
   * Where its series are kept. If two consumers of one process report the same series to one registry, gauges
   * are combined, and the last of them removes the series. @default the counter itself
   */
  readonly registry?: object;

  /** Values that it accepted and could not deliver, since it was created. @default 0 */
  readonly dropped?: number;
}
