import { systemClock, type Clock } from "../clock.ts";
import type { Counter } from "./counter.ts";
import { ErrorNames } from "./error-names.ts";
import { EventFeed, type ConsumerEvent } from "./events.ts";
import { lineFields } from "./log-fields.ts";
import type { LogFields, Logger } from "./logger.ts";
import type {
  CounterName,
  GaugeName,
  HistogramName,
  MetricAttributes,
  OwnAttributes,
} from "./metrics.ts";
import { type Series, ShardSeries } from "./shard-series.ts";
import type { Source } from "./source.ts";
import { FailingCalls } from "./failing-calls.ts";

/**
 * Guards the user's counter and logger: if one throws (or is async and rejects), the scan continues. The first
 * failure of the counter is logged, each failure of the logger is counted.
 */
export class Telemetry {
  readonly source: Source;
  readonly feed = new EventFeed();
  /** Names of the errors of Kinesis calls, for metrics. */
  readonly errorNames = new ErrorNames();
  /** The calls that are failing now. */
  readonly failingCalls: FailingCalls;
  readonly #counter: Counter | undefined;
  readonly #logger: Logger | undefined;
  readonly #series: ShardSeries;
  #thrown = 0;

  constructor(
    sinks: { readonly counter?: Counter | undefined; readonly logger?: Logger | undefined },
    source: Source,
    clock: Clock = systemClock,
  ) {
    this.source = source;
    this.failingCalls = new FailingCalls(this, clock);
    this.#counter = sinks.counter;
    this.#logger = sinks.logger;
    const { counter } = sinks;
    const registry = counter?.registry ?? counter ?? this;
    this.#series = new ShardSeries(source, counter?.perShard ?? true, registry);
  }

  /** True if there is a counter. */
  get counts(): boolean {
    return this.#counter !== undefined;
  }

  /** True if there is a logger. */
  get logs(): boolean {
    return this.#logger !== undefined;
  }

  /** True if each shard has its own series. */
  get perShard(): boolean {
    return this.#series.perShard;
  }

  /** Number of calls in which the counter threw, plus the values that it could not deliver. */
  get dropped(): number {
    let undelivered = 0;
    this.#report((counter) => void (undelivered = counter.dropped ?? 0));
    return this.#thrown + undelivered;
  }

  /** Reports a counter as 0 before it counts: a series whose first value is above 0 has no rate. */
  begin<Name extends CounterName>(name: Name, own: OwnAttributes<Name>): void {
    this.#report((counter) => counter.add(name, 0, this.#series.of(name, own).attributes));
  }

  add<Name extends CounterName>(name: Name, value: number, own: OwnAttributes<Name>): void {
    if (value === 0) return;
    this.#report((counter) => counter.add(name, value, this.#series.of(name, own).attributes));
  }

  set<Name extends GaugeName>(name: Name, value: number, own: OwnAttributes<Name>): void {
    this.#report((counter) => {
      const series = this.#series.of(name, own);
      return counter.set?.(name, this.#series.fold(series, value), series.attributes);
    });
  }

  record<Name extends HistogramName>(name: Name, value: number, own: OwnAttributes<Name>): void {
    this.#report((counter) => counter.record?.(name, value, this.#series.of(name, own).attributes));
  }

  /** Removes a gauge, unless another consumer reports it too. */
  remove<Name extends GaugeName>(name: Name, own: OwnAttributes<Name>): void {
    this.#report((counter) => {
      const series = this.#series.of(name, own);
      const others = this.#series.withdraw(series);
      return others === undefined
        ? counter.remove?.(name, series.attributes)
        : counter.set?.(name, others, series.attributes);
    });
  }

  /** Removes all series of a shard, except those that another consumer reports too. */
  removeShard(shardId: string): void {
    for (const series of this.#series.take(shardId))
      if (series.reporters.size === 0) this.#remove(series);
  }

  /** Called when a scan begins; `leave` when it has ended. @param now by the monotonic clock */
  enter(now: number): void {
    this.#series.enter(now);
  }

  /**
   * Called when the scan has ended. Its series keep their last values, until another consumer that reports them
   * removes them, or a scan on the same registry calls `removeLeft`.
   */
  leave(now: number): void {
    this.#series.leave(now);
  }

  /** Removes the series that scans left before `until` and that were not reported since. */
  removeLeft(until: number): void {
    for (const series of this.#series.takeLeft(until)) this.#remove(series);
  }

  emit(event: ConsumerEvent): void {
    this.feed.emit(event);
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#log("error", message, fields);
  }

  /** Series of shards are counters and gauges only. */
  #remove({ name, attributes }: Series): void {
    this.#report((counter) =>
      counter.remove?.(name as "lag", attributes as MetricAttributes<"lag">),
    );
  }

  #report(call: (counter: Counter) => unknown): void {
    const counter = this.#counter;
    if (counter === undefined) return;
    guard(
      () => call(counter),
      (error) => this.#onCounterFailure(error),
    );
  }

  #log(level: keyof Logger, message: string, fields: LogFields): void {
    const logger = this.#logger;
    if (logger === undefined) return;
    guard(
      () => logger[level](message, lineFields(this.source, fields)),
      () => this.add("errors", 1, { error: "LOGGER_FAILED" }),
    );
  }

  #onCounterFailure(error: unknown): void {
    this.#thrown += 1;
    if (this.#thrown > 1) return;
    this.warn("the counter throws: from now on metrics are missing", { error });
  }
}

function guard(call: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    const answer = call();
    if (answer instanceof Promise) answer.catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}
