import {
  METRICS,
  type MetricAttributes,
  type MetricDefinition,
  type MetricName,
  type OwnAttributes,
} from "./metrics.ts";
import type { Source } from "./source.ts";

type Attributes = Readonly<Record<string, string>>;
/** The consumers that report a series, each with its value if it is a gauge. */
type Reporters = Map<ShardSeries, number | undefined>;

/** A series as reported by one consumer. */
export interface Series {
  readonly name: MetricName;
  readonly attributes: Attributes;
  /** Identifies the series across consumers. */
  readonly key: string;
  readonly reporters: Reporters;
}

type SeriesOf<Name extends MetricName> = Series & { readonly attributes: MetricAttributes<Name> };

/** The key of series without a shard. */
const NO_SHARD = "";

/** The series of one shard. */
interface Shard {
  /** By metric and the attributes other than `shardId`. */
  readonly series: Map<string, Series>;
  /** By the attributes other than `shardId`. */
  readonly attributes: Map<string, SharedAttributes>;
}

interface SharedAttributes {
  readonly attributes: Attributes;
  /** The attributes as text, equal for all consumers. */
  readonly text: string;
}

/** The series that consumers of this process report to one registry, by key. */
interface Shared {
  /** Series that are being reported. */
  readonly live: Map<string, Reporters>;
  /** Series of scans that have ended, in the order of those ends; the registry still has their last values. */
  readonly left: Map<string, { readonly series: Series; readonly since: number }>;
}

const registries = new WeakMap<object, Shared>();

/**
 * The series of a consumer. All series of a shard with equal attributes share one attributes object, so that adapters
 * can use it as a cache key. The series of each shard are remembered, to remove them when the shard ends. If the
 * counter is not `perShard`, shards share their series, which do not end with a shard.
 *
 * Two consumers of one process may report the same series: two workers of an application, one of which takes over a
 * shard from the other. Their gauge values are folded, and the series ends when the last of them has ended it.
 */
export class ShardSeries {
  readonly perShard: boolean;
  readonly #source: Source;
  readonly #shared: Shared;
  readonly #shards = new Map<string, Shard>();
  /** True while a scan runs. After it, nothing would end the series of a handler that returns late. */
  #reports = true;

  /** @param registry holds the series: see `Counter.registry` */
  constructor(source: Source, perShard: boolean, registry: object) {
    this.#source = source;
    this.perShard = perShard;
    let shared = registries.get(registry);
    if (shared === undefined)
      registries.set(registry, (shared = { live: new Map(), left: new Map() }));
    this.#shared = shared;
  }

  /** Returns the series of a metric with these attributes, and begins it if needed. */
  of<Name extends MetricName>(name: Name, own: OwnAttributes<Name>): SeriesOf<Name> {
    return this.#of(name, own);
  }

  /** Sets this consumer's value of a gauge, and returns the value folded over all consumers. */
  fold({ name, reporters }: Series, value: number): number {
    reporters.set(this, value);
    return reporters.size === 1 ? value : folded(name, reporters)!;
  }

  /** Withdraws this consumer's value of a gauge. Returns the folded value of the others; undefined = none. */
  withdraw({ name, reporters }: Series): number | undefined {
    reporters.set(this, undefined);
    return folded(name, reporters);
  }

  /** Removes and returns all series of a shard. Those with no `reporters` left have ended. */
  take(shardId: string): readonly Series[] {
    const series = [...(this.#shards.get(shardId)?.series.values() ?? [])];
    this.#shards.delete(shardId);
    for (const each of series) this.#leave(each);
    return series;
  }

  /** Called when a scan begins. */
  enter(now: number): void {
    this.leave(now);
    this.#reports = true;
  }

  /** Called when the scan has ended. Shard series keep their last values until `takeLeft`. */
  leave(now: number): void {
    this.#reports = false;
    for (const shardId of this.#shards.keys()) {
      for (const series of this.take(shardId)) {
        if (shardId === NO_SHARD || this.#shared.live.has(series.key)) continue;
        this.#shared.left.delete(series.key);
        this.#shared.left.set(series.key, { series, since: now });
      }
    }
  }

  /** Removes and returns the series that were left before `until` and not begun again. */
  takeLeft(until: number): readonly Series[] {
    const ended: Series[] = [];
    for (const [key, { series, since }] of this.#shared.left) {
      if (since > until) break;
      this.#shared.left.delete(key);
      ended.push(series);
    }
    return ended;
  }

  /** Called several times per page, so the key is cheap: without other attributes, it is the metric's name. */
  #of(name: MetricName, own: Attributes): Series {
    const shardId = (this.perShard && own["shardId"]) || NO_SHARD;
    let shard = this.#shards.get(shardId);
    if (shard === undefined)
      this.#shards.set(shardId, (shard = { series: new Map(), attributes: new Map() }));
    let others = "";
    for (const attribute in own)
      if (attribute !== "shardId") others += ` ${attribute}=${own[attribute]}`;
    const key = name + others;
    let series = shard.series.get(key);
    if (series === undefined) {
      let shared = shard.attributes.get(others);
      if (shared === undefined) shard.attributes.set(others, (shared = this.#share(own)));
      shard.series.set(key, (series = this.#begin(name, shardId, shared)));
    }
    return series;
  }

  #share(own: Attributes): SharedAttributes {
    const { shardId: _, ...others } = own;
    const attributes = { ...(this.perShard ? own : others), ...this.#source };
    return { attributes, text: JSON.stringify(attributes) };
  }

  #begin(name: MetricName, shardId: string, { attributes, text }: SharedAttributes): Series {
    const key = `${name} ${text}`;
    // Counters of the whole consumer never end, so they need no owner.
    const hasEnd = shardId !== NO_SHARD || METRICS[name].kind === "gauge";
    const isOwned = this.#reports && hasEnd;
    const reporters: Reporters =
      (isOwned && this.#shared.live.get(key)) || new Map<ShardSeries, number>();
    if (isOwned) {
      this.#shared.live.set(key, reporters.set(this, undefined));
      this.#shared.left.delete(key);
    }
    return { name, attributes, key, reporters };
  }

  #leave({ key, reporters }: Series): void {
    reporters.delete(this);
    const isOwned = this.#shared.live.get(key) === reporters;
    if (isOwned && reporters.size === 0) this.#shared.live.delete(key);
  }
}

/** The gauge value folded over all consumers; undefined = none reports a value. */
function folded(name: MetricName, reporters: Reporters): number | undefined {
  const values = [...reporters.values()].filter((value) => value !== undefined);
  return values.length === 0 ? undefined : foldValues(name, values);
}

/** Folds the values of a gauge by its `fold`; 0 if there are none. */
export function foldValues(name: MetricName, values: readonly number[]): number {
  const { fold }: MetricDefinition = METRICS[name];
  if (values.length === 0) return 0;
  if (fold === "min") return values.reduce((a, b) => Math.min(a, b));
  return values.reduce((a, b) => (fold === "max" ? Math.max(a, b) : a + b));
}
