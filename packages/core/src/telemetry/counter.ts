import type { CounterName, GaugeName, MetricAttributes } from "./metrics.ts";

/**
 * Where figures go. Called once a page and shard, not once a record. It must not block; if it
 * throws, the scan goes on and the first failure is logged.
 */
export interface Counter {
  /** Adds to a counter. `value` is a whole number above 0. */
  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void;
  /** Sets a gauge. `undefined` = this series is over (a shard that is no longer read here). */
  set<Name extends GaugeName>(
    name: Name,
    value: number | undefined,
    attributes: MetricAttributes<Name>,
  ): void;
}
