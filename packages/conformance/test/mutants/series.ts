import { counterMutant as mutant, kept, type CounterMutant } from "../support/counter-mutant.ts";
import {
  counterHarness,
  ReferenceCounter,
  ReferenceRegistry,
  seriesKey,
} from "../support/reference-counter.ts";

type Attributes = Readonly<Record<string, string>>;

const ownersOf = kept(() => new Map<string, ReferenceCounter>());

/** Forgets a series once it was read. */
const forgetting = (name: string, caughtBy: string, metric: string): CounterMutant => ({
  name,
  caughtBy,
  async makeHarness() {
    const registry = new ReferenceRegistry();
    const harness = counterHarness(ReferenceCounter, registry);
    return {
      ...harness,
      async read(read, attributes) {
        const value = await harness.read(read, attributes);
        if (read === metric) registry.series.delete(seriesKey(read, attributes));
        return value;
      },
    };
  },
});

/** Makes series of what it changes in each attribute. */
const changing = (
  name: string,
  caughtBy: string,
  keyOf: (name: string, attributes: Attributes) => string,
): CounterMutant => ({
  name,
  caughtBy,
  async makeHarness() {
    const registry = new ReferenceRegistry();
    class Changing extends ReferenceCounter {
      override key(metric: string, attributes: Attributes): string {
        return keyOf(metric, attributes);
      }
    }
    return {
      ...counterHarness(Changing, registry),
      read: async (metric, attributes) => registry.series.get(keyOf(metric, attributes)),
    };
  },
});

const eachValue =
  (change: (value: string) => string) =>
  (name: string, attributes: Attributes): string => {
    const changed = Object.entries(attributes).map(([key, value]) => [key, change(value)]);
    return seriesKey(name, Object.fromEntries(changed) as Attributes);
  };

/** Removes more series than it should. */
const removing = (
  name: string,
  caughtBy: string,
  isOver: (key: string, removed: string, metric: string, attributes: Attributes) => boolean,
): CounterMutant =>
  mutant(
    name,
    caughtBy,
    class extends ReferenceCounter {
      override remove(metric: string, attributes: Attributes): void {
        const removed = this.key(metric, attributes);
        for (const all of [this.registry.series, this.registry.histograms]) {
          for (const key of all.keys()) {
            if (isOver(key, removed, metric, attributes)) all.delete(key);
          }
        }
        super.remove(metric, attributes);
      }
    },
  );

const attributesOf = (key: string): string => JSON.stringify((JSON.parse(key) as unknown[])[1]);

export const SERIES_MUTANTS: readonly CounterMutant[] = [
  forgetting("shows what came since the last reading", "add.read", "records"),
  forgetting("shows a gauge once", "set.read", "lag"),
  changing(
    "takes capitals for small letters",
    "add.names",
    eachValue((value) => value.toLowerCase()),
  ),
  changing(
    "cuts attributes at 100 characters",
    "add.names",
    eachValue((value) => value.slice(0, 100)),
  ),
  ...["-", ".", "_", "/", " ", ":", ","].flatMap((separator) =>
    ["stream first", "application first"].map((order) =>
      changing(
        `joins attributes with "${separator}", ${order}`,
        "add.names",
        (name, attributes) => {
          const { stream, application, ...others } = attributes;
          const both = [stream, application];
          if (order === "application first") both.reverse();
          return [seriesKey(name, others), ...both].join(separator);
        },
      ),
    ),
  ),
  mutant(
    "writes to the attributes that it is given",
    "odd.frozen",
    class extends ReferenceCounter {
      override key(name: string, attributes: Attributes): string {
        const written = attributes as Record<string, string>;
        written["stream"] = written["stream"]!.trim();
        return super.key(name, attributes);
      }
    },
  ),
  mutant(
    "remembers an attributes object's first metric",
    "folded.shards",
    class extends ReferenceCounter {
      readonly #keys = new WeakMap<Attributes, string>();

      override key(name: string, attributes: Attributes): string {
        const key = this.#keys.get(attributes) ?? super.key(name, attributes);
        this.#keys.set(attributes, key);
        return key;
      }
    },
  ),
  mutant(
    "leaves a gauge to the counter that set it first",
    "shared.gauge",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        const owners = ownersOf(this.registry);
        const key = this.key(name, attributes);
        if (!owners.has(key)) owners.set(key, this);
        if (owners.get(key) === this) super.set(name, value, attributes);
      }
    },
  ),
  mutant(
    "has histograms of its own on a registry",
    "shared.histogram",
    class extends ReferenceCounter {
      override record(name: string, value: number, attributes: Attributes): void {
        const owners = ownersOf(this.registry);
        const key = this.key(name, attributes);
        if (owners.get(key) !== this) this.registry.histograms.delete(key);
        owners.set(key, this);
        super.record(name, value, attributes);
      }
    },
  ),
  removing(
    "removes a shard's counters with its lag",
    "remove.metrics",
    (key, removed) => attributesOf(key) === attributesOf(removed),
  ),
  removing("removes histograms with a shard", "remove.metrics", (key) => key.includes("_duration")),
  removing(
    "removes by the beginning of a shard's id",
    "remove.alike",
    (key, _, metric, attributes) =>
      key.includes(`"${metric}"`) && key.includes(`["shardId","${attributes["shardId"]}`),
  ),
  removing(
    "removes all shards with what is folded",
    "remove.alike",
    (key, _, metric, attributes) =>
      key.includes(`"${metric}"`) && attributes["shardId"] === undefined,
  ),
  removing(
    "removes what is folded with a shard",
    "remove.alike",
    (key, _, metric) => key.includes(`"${metric}"`) && !key.includes("shardId"),
  ),
];
