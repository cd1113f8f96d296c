import { METRICS, type MetricName } from "@kc/core";
import type {
  Attributes,
  Histogram,
  Meter,
  MeterProvider,
  MetricOptions,
} from "@opentelemetry/api";
import { openTelemetryAttributes, openTelemetryName, type OpenTelemetryName } from "./names.ts";

/** As the semantic conventions have them, and on to what a slow handler takes; in seconds. */
const BOUNDARIES = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
];

interface Point {
  value: number;
  readonly attributes: Attributes;
  /** Has it been told to an SDK? */
  told: boolean;
  /** It is told once more, and no more after that. */
  over: boolean;
}

type Figures = Readonly<Record<string, string>>;

/**
 * The instruments of one meter provider, and what they show. Counters and gauges are observed: a
 * synchronous one would show each series for ever. All counters on a provider share them, since what
 * two callbacks tell of one series is not added up.
 */
export class Instruments {
  static readonly #ofProvider = new WeakMap<MeterProvider, Instruments>();
  readonly #points = new Map<MetricName, Map<string, Point>>();
  readonly #histograms = new Map<
    MetricName,
    OpenTelemetryName & { readonly histogram: Histogram }
  >();

  static of(provider: MeterProvider): Instruments {
    let instruments = Instruments.#ofProvider.get(provider);
    if (instruments === undefined) {
      instruments = new Instruments(provider.getMeter("@kc/counter-opentelemetry"));
      Instruments.#ofProvider.set(provider, instruments);
    }
    return instruments;
  }

  private constructor(meter: Meter) {
    for (const metric of Object.keys(METRICS) as MetricName[]) this.#make(meter, metric);
  }

  add(metric: MetricName, value: number, figures: Figures): void {
    this.#point(metric, figures).value += value;
  }

  set(metric: MetricName, value: number, figures: Figures): void {
    const point = this.#point(metric, figures);
    point.value = value;
    point.over = false;
  }

  record(metric: MetricName, value: number, figures: Figures): void {
    const { histogram, factor, attributes } = this.#histograms.get(metric)!;
    histogram.record(value * factor, { ...known(figures).attributes, ...attributes });
  }

  /**
   * Told no more, a series is over by the specification. The SDK repeats its last value for ever all
   * the same, if temporality is cumulative: of a gauge, let that be 0, and not the lag of a shard
   * that another process reads.
   */
  remove(metric: MetricName, figures: Figures): void {
    const points = this.#points.get(metric)!;
    const { key } = known(figures);
    const point = points.get(key);
    if (point === undefined) return;
    if (METRICS[metric].kind === "gauge" && point.told) {
      point.value = 0;
      point.over = true;
    } else points.delete(key);
  }

  #make(meter: Meter, metric: MetricName): void {
    const { kind, description } = METRICS[metric];
    const named = openTelemetryName(metric);
    const { name, unit, factor } = named;
    const options: MetricOptions = { unit, description };
    if (kind === "histogram") {
      const advice = { explicitBucketBoundaries: BOUNDARIES };
      const histogram = meter.createHistogram(name, { ...options, advice });
      this.#histograms.set(metric, { ...named, histogram });
      return;
    }
    const points = new Map<string, Point>();
    this.#points.set(metric, points);
    const instrument =
      kind === "counter"
        ? meter.createObservableCounter(name, options)
        : meter.createObservableGauge(name, options);
    instrument.addCallback((result) => {
      for (const [key, point] of points) {
        result.observe(point.value * factor, point.attributes);
        point.told = true;
        if (point.over) points.delete(key);
      }
    });
  }

  #point(metric: MetricName, figures: Figures): Point {
    const points = this.#points.get(metric)!;
    const { key, attributes } = known(figures);
    let point = points.get(key);
    if (point === undefined) {
      const all = { ...attributes, ...openTelemetryName(metric).attributes };
      points.set(key, (point = { value: 0, attributes: all, told: false, over: false }));
    }
    return point;
  }
}

interface Known {
  readonly attributes: Attributes;
  /** The same for the same attributes, in whatever order they come. */
  readonly key: string;
}

/** Core hands over the same object for the same series. */
const seen = new WeakMap<Figures, Known>();

function known(figures: Figures): Known {
  let found = seen.get(figures);
  if (found === undefined) {
    const attributes = openTelemetryAttributes(figures);
    const sorted = Object.entries(figures).toSorted(([a], [b]) => (a < b ? -1 : 1));
    seen.set(figures, (found = { attributes, key: JSON.stringify(sorted) }));
  }
  return found;
}
