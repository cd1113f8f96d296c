import {
  METRICS,
  type MetricAttributes,
  type MetricDefinition,
  type MetricName,
  type OwnAttributes,
} from "./metrics.ts";
import type { Source } from "./source.ts";

type Attributes = Readonly<Record<string, string>>;
/** The consumers that report a series, each with its value of a gauge. */
type Reporters = Map<ShardSeries, number | undefined>;

/** One series as one consumer reports it. */
export interface Series {
  readonly name: MetricName;
  readonly attributes: Attributes;
  /** The same for every consumer that reports it. */
  readonly key: string;
  readonly reporters: Reporters;
}

type SeriesOf<Name extends MetricName> = Series & { readonly attributes: MetricAttributes<Name> };

/** The key of series without a shard. */
const NO_SHARD = "";

/** What a shard's series are made of. */
interface Shard {
  /** By the metric and what it has beside the shard. */
  readonly series: Map<string, Series>;
  /** By what they have beside the shard. */
  readonly attributes: Map<string, SharedAttributes>;
}

interface SharedAttributes {
  readonly attributes: Attributes;
  /** They as text: the same for every consumer. */
  readonly text: string;
}

/** The series of one registry that there are by consumers of this process, by key. */
interface Shared {
  /** They are reported now. */
  readonly live: Map<string, Reporters>;
  /** They stand as the last scan that reported them left them, in the order in which they were left. */
  readonly left: Map<string, { readonly series: Series; readonly since: number }>;
}

const registries = new WeakMap<object, Shared>();

/**
 * The attributes of every metric, one object for all series of a shard that have the same: adapters may use
 * the object as a key for what they derive from it. And, of each shard, which series it has begun, so that
 * they can be ended with it. Folded, shards share their series, and none of them ends with a shard.
 *
 * Two consumers of one process may report the same series: two workers of an application, of which one
 * takes a shard over from the other. Then a gauge is folded, and a series is over when the last of them
 * has ended it.
 */
export class ShardSeries {
  readonly perShard: boolean;
  readonly #source: Source;
  readonly #shared: Shared;
  readonly #shards = new Map<string, Shard>();
  /** Does a scan run? Nothing would end a series of a handler that returns later. */
  #reports = true;

  /** `registry` = where the series stand. */
  constructor(source: Source, perShard: boolean, registry: object) {
    this.#source = source;
    this.perShard = perShard;
    let shared = registries.get(registry);
    if (shared === undefined)
      registries.set(registry, (shared = { live: new Map(), left: new Map() }));
    this.#shared = shared;
  }

  of<Name extends MetricName>(name: Name, own: OwnAttributes<Name>): SeriesOf<Name> {
    return this.#of(name, own);
  }

  /** A gauge's value as all consumers report it, this one with `value`. */
  fold({ name, reporters }: Series, value: number): number {
    reporters.set(this, value);
    return reporters.size === 1 ? value : folded(name, reporters)!;
  }

  /** This consumer reports the gauge no more for now. What the others report; undefined = nothing. */
  withdraw({ name, reporters }: Series): number | undefined {
    reporters.set(this, undefined);
    return folded(name, reporters);
  }

  /** All series of a shard, which are forgotten here. Those that nobody else reports are over. */
  take(shardId: string): readonly Series[] {
    const series = [...(this.#shards.get(shardId)?.series.values() ?? [])];
    this.#shards.delete(shardId);
    for (const each of series) this.#leave(each);
    return series;
  }

  /** A scan begins. */
  enter(now: number): void {
    this.leave(now);
    this.#reports = true;
  }

  /** The scan is over: nothing is reported until it begins again, and what was counted stays for now. */
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

  /** The series that were left until this time, and not begun again. They are over. */
  takeLeft(until: number): readonly Series[] {
    const over: Series[] = [];
    for (const [key, { series, since }] of this.#shared.left) {
      if (since > until) break;
      this.#shared.left.delete(key);
      over.push(series);
    }
    return over;
  }

  /** Called several times a page: where there is nothing beside the shard, the key is the metric's name. */
  #of(name: MetricName, own: Attributes): Series {
    const whose = (this.perShard && own["shardId"]) || NO_SHARD;
    let shard = this.#shards.get(whose);
    if (shard === undefined)
      this.#shards.set(whose, (shard = { series: new Map(), attributes: new Map() }));
    let others = "";
    for (const attribute in own)
      if (attribute !== "shardId") others += ` ${attribute}=${own[attribute]}`;
    const key = name + others;
    let series = shard.series.get(key);
    if (series === undefined) {
      let shared = shard.attributes.get(others);
      if (shared === undefined) shard.attributes.set(others, (shared = this.#share(own)));
      shard.series.set(key, (series = this.#begin(name, whose, shared)));
    }
    return series;
  }

  #share(own: Attributes): SharedAttributes {
    const { shardId: _, ...others } = own;
    const attributes = { ...(this.perShard ? own : others), ...this.#source };
    return { attributes, text: JSON.stringify(attributes) };
  }

  #begin(name: MetricName, whose: string, { attributes, text }: SharedAttributes): Series {
    const key = `${name} ${text}`;
    // What is counted of the whole consumer has no end: it needs no owner.
    const hasEnd = whose !== NO_SHARD || METRICS[name].kind === "gauge";
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

/** Undefined = no consumer reports a value. */
function folded(name: MetricName, reporters: Reporters): number | undefined {
  const values = [...reporters.values()].filter((value) => value !== undefined);
  return values.length === 0 ? undefined : foldValues(name, values);
}

/** What a gauge of these values comes to; 0 of none. */
export function foldValues(name: MetricName, values: readonly number[]): number {
  const { fold }: MetricDefinition = METRICS[name];
  if (values.length === 0) return 0;
  if (fold === "min") return values.reduce((a, b) => Math.min(a, b));
  return values.reduce((a, b) => (fold === "max" ? Math.max(a, b) : a + b));
}
