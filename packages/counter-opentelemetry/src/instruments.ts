import { METRICS, type MetricDefinition, type MetricName } from "@kc/core";
import {
  type Attributes,
  type BatchObservableResult,
  createNoopMeter,
  diag,
  type Histogram,
  type Meter,
  type MeterProvider,
  type MetricOptions,
  type ObservableGauge,
} from "@opentelemetry/api";
import {
  openTelemetryAttributes,
  openTelemetryName,
  type OpenTelemetryName,
  SYSTEM,
} from "./names.ts";

/** Bucket boundaries for durations, in seconds: from a trivial handler to a take-over that took minutes. */
const BOUNDARIES = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];
/** Bucket boundaries for numbers of records, up to the largest batch. */
const COUNT_BOUNDARIES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/**
 * A warning is logged at this number of series. The SDK's limit is 2,000 for each instrument, including ended ones. Series
 * beyond it lose their attributes.
 */
const MANY_SERIES = 1600;

interface Point {
  value: number;
  readonly attributes: Attributes;
  readonly source: Known["source"];
  /** True once it has been reported to an SDK. */
  reported: boolean;
  /** True if the series has ended: it is reported once more, and then dropped. */
  over: boolean;
}

type CoreAttributes = Readonly<Record<string, string>>;

interface NamedHistogram extends OpenTelemetryName {
  readonly histogram: Histogram;
  /** The attributes that are passed to the SDK, by core's attributes. */
  readonly series: WeakMap<CoreAttributes, Attributes>;
}

/**
 * The instruments of one meter provider, and their values. Counters and gauges are observable instruments, because a
 * synchronous one would show each series for ever. All counters of a provider share the instruments, because the SDK does
 * not add up what two callbacks report for one series.
 */
export class Instruments {
  static readonly #ofProvider = new WeakMap<MeterProvider, Instruments>();
  /** False if no SDK is set up, so that the metrics go nowhere. */
  readonly hasSdk: boolean;
  readonly #points = new Map<MetricName, Map<string, Point>>();
  /** The keys of all series so far, up to the number at which a warning is logged. */
  readonly #seen = new Map<MetricName, Set<string>>();
  readonly #histograms = new Map<MetricName, NamedHistogram>();

  static of(provider: MeterProvider): Instruments {
    let instruments = Instruments.#ofProvider.get(provider);
    if (instruments === undefined) {
      instruments = new Instruments(provider.getMeter("@kc/counter-opentelemetry"));
      Instruments.#ofProvider.set(provider, instruments);
    }
    return instruments;
  }

  private constructor(meter: Meter) {
    this.hasSdk = meter !== createNoopMeter();
    for (const metric of Object.keys(METRICS) as MetricName[]) this.#make(meter, metric);
  }

  /** A counter that starts again before its end was observed continues, because the SDK has not seen the end. */
  add(metric: MetricName, value: number, given: CoreAttributes): void {
    const point = this.#point(metric, given);
    point.value += value;
    point.over = false;
  }

  set(metric: MetricName, value: number, given: CoreAttributes): void {
    const point = this.#point(metric, given);
    point.value = value;
    point.over = false;
  }

  record(metric: MetricName, value: number, given: CoreAttributes): void {
    const { histogram, factor, attributes, series } = this.#histograms.get(metric)!;
    let all = series.get(given);
    if (all === undefined) series.set(given, (all = { ...known(given).attributes, ...attributes }));
    histogram.record(value * factor, all);
  }

  /**
   * Ends a series. By the specification, a series that is no longer observed has ended. But with cumulative temporality,
   * the SDK repeats its last value for ever. So a last value of 0 is reported, instead of the lag of a shard that another
   * process now reads. Besides, the SDK compares a restarted counter with its last value, so it must have been observed
   * at 0 before it counts from 0 again.
   */
  remove(metric: MetricName, given: CoreAttributes): void {
    const points = this.#points.get(metric)!;
    const { key } = known(given);
    const point = points.get(key);
    if (point === undefined) return;
    if (point.reported) point.over = true;
    else points.delete(key);
  }

  /** Takes over the totals and gauges of another provider's instruments. */
  absorb(before: Instruments): void {
    for (const [metric, points] of before.#points) {
      const own = this.#points.get(metric)!;
      for (const [key, point] of points) {
        points.delete(key);
        const existing = own.get(key);
        if (existing === undefined) {
          own.set(key, point);
          this.#count(metric, key);
        } else if (METRICS[metric].kind === "counter") {
          existing.value += point.value;
        }
      }
    }
  }

  #make(meter: Meter, metric: MetricName): void {
    const { kind, description } = METRICS[metric];
    const named = openTelemetryName(metric);
    const { name, unit, factor } = named;
    const options: MetricOptions = { unit, description };
    if (kind === "histogram") {
      const explicitBucketBoundaries = unit === "s" ? BOUNDARIES : COUNT_BOUNDARIES;
      const advice = { explicitBucketBoundaries };
      // Two metrics may share a name and differ by an attribute. They share the instrument, since the SDK would warn of
      // a second one.
      const existing = [...this.#histograms.values()].find((each) => each.name === name);
      const histogram = existing?.histogram ?? meter.createHistogram(name, { ...options, advice });
      this.#histograms.set(metric, { ...named, histogram, series: new WeakMap() });
      return;
    }
    const points = new Map<string, Point>();
    this.#points.set(metric, points);
    const instrument =
      kind === "counter"
        ? meter.createObservableCounter(name, options)
        : meter.createObservableGauge(name, options);
    const largest = METRICS[metric].attributes.join() === "shardId" && foldsToMax(metric);
    const max = largest
      ? meter.createObservableGauge(`${name}.max`, {
          unit,
          description: `${description}. The largest over all shards`,
        })
      : undefined;
    const observe = (result: BatchObservableResult): void => {
      if (max !== undefined) observeLargest(result, max, points.values(), factor);
      for (const [key, point] of points) {
        result.observe(instrument, valueOf(point) * factor, point.attributes);
        point.reported = true;
        if (point.over) points.delete(key);
      }
    };
    meter.addBatchObservableCallback(observe, max === undefined ? [instrument] : [instrument, max]);
  }

  /** Counts the series of a metric, and warns once when they approach the SDK's limit. */
  #count(metric: MetricName, key: string): void {
    let keys = this.#seen.get(metric);
    if (keys === undefined) this.#seen.set(metric, (keys = new Set<string>()));
    if (keys.size === MANY_SERIES) return;
    keys.add(key);
    if (keys.size < MANY_SERIES) return;
    const { name } = openTelemetryName(metric);
    diag.warn(
      `@kc/counter-opentelemetry: ${name} has had ${MANY_SERIES} series. From 2,000 on, ended ones ` +
        "included, the SDK shows new ones without attributes: give it a View with a higher " +
        "aggregationCardinalityLimit, or the counter perShard: false",
    );
  }

  #point(metric: MetricName, given: CoreAttributes): Point {
    const points = this.#points.get(metric)!;
    const { key, attributes, source } = known(given);
    let point = points.get(key);
    if (point === undefined) {
      const all = { ...attributes, ...openTelemetryName(metric).attributes };
      points.set(
        key,
        (point = { value: 0, attributes: all, source, reported: false, over: false }),
      );
      this.#count(metric, key);
    }
    return point;
  }
}

function valueOf({ value, over }: Point): number {
  return over ? 0 : value;
}

function foldsToMax(metric: MetricName): boolean {
  const { fold }: MetricDefinition = METRICS[metric];
  return fold === "max";
}

/** Observes the maximum over all shards, one series for each stream and application, which fits any limit of series. */
function observeLargest(
  result: BatchObservableResult,
  max: ObservableGauge,
  points: Iterable<Point>,
  factor: number,
): void {
  const largest = new Map<string, { value: number; readonly attributes: Attributes }>();
  for (const point of points) {
    const value = valueOf(point);
    const { attributes, key } = point.source;
    const current = largest.get(key);
    if (current === undefined) largest.set(key, { value, attributes });
    else current.value = Math.max(current.value, value);
  }
  for (const { value, attributes } of largest.values()) {
    result.observe(max, value * factor, attributes);
  }
}

interface Known {
  readonly attributes: Attributes;
  /** Only the stream and the application. */
  readonly source: { readonly attributes: Attributes; readonly key: string };
  /** Equal for equal attributes, in any order. */
  readonly key: string;
}

/** A cache by object: core passes the same object for all series with the same attributes. */
const seen = new WeakMap<CoreAttributes, Known>();

function known(given: CoreAttributes): Known {
  let found = seen.get(given);
  if (found === undefined) {
    const attributes = openTelemetryAttributes(given);
    const sorted = Object.entries(given).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const { stream = "", application = "" } = given;
    const source = {
      attributes: { ...SYSTEM, ...openTelemetryAttributes({ stream, application }) },
      key: JSON.stringify([stream, application]),
    };
    seen.set(given, (found = { attributes, source, key: JSON.stringify(sorted) }));
  }
  return found;
}
