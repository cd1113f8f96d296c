import type { Counter } from "../../src/index.ts";

type Attributes = Readonly<Record<string, string>>;

/** Adds everything up, by name and by name with attributes. */
export class MemoryCounter implements Counter {
  readonly perShard: boolean;
  /** What other adapters could not deliver. */
  dropped = 0;
  readonly #totals = new Map<string, number>();
  readonly #gauges = new Map<string, number>();
  readonly #values = new Map<string, number[]>();

  constructor({ perShard = true }: { readonly perShard?: boolean } = {}) {
    this.perShard = perShard;
  }

  add(name: string, value: number, attributes: Attributes): void {
    for (const key of [name, keyOf(name, attributes)]) {
      this.#totals.set(key, (this.#totals.get(key) ?? 0) + value);
    }
  }

  set(name: string, value: number, attributes: Attributes): void {
    this.#gauges.set(keyOf(name, attributes), value);
  }

  record(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  remove(name: string, attributes: Attributes): void {
    const key = keyOf(name, attributes);
    this.#gauges.delete(key);
    this.#totals.delete(key);
  }

  /** A counter's total, over all attributes or for those given. */
  total(name: string, attributes?: Attributes): number {
    return this.#totals.get(attributes ? keyOf(name, attributes) : name) ?? 0;
  }

  /** What a histogram took, in order. */
  values(name: string): readonly number[] {
    return this.#values.get(name) ?? [];
  }

  /** The values of all series of a gauge, by shard id, state or operation, or by "" without. */
  gauge(name: string): Readonly<Record<string, number>> {
    const series: Record<string, number> = {};
    for (const [key, value] of this.#gauges) {
      const [gauge, attributes] = JSON.parse(key) as [string, [string, string][]];
      const { shardId, state, operation } = Object.fromEntries(attributes);
      if (gauge === name) series[shardId ?? state ?? operation ?? ""] = value;
    }
    return series;
  }

  /** Every series that names the shard. */
  seriesOf(shardId: string): readonly string[] {
    return [...this.#totals.keys(), ...this.#gauges.keys()].filter((key) => key.includes(shardId));
  }
}

function keyOf(name: string, attributes: Attributes): string {
  const own = Object.entries(attributes).filter(
    ([key]) => key !== "stream" && key !== "application",
  );
  return JSON.stringify([name, own.toSorted()]);
}
