import type { Counter } from "../../src/index.ts";

/** Adds everything up, by name and by name with attributes. */
export class MemoryCounter implements Counter {
  readonly #totals = new Map<string, number>();
  readonly #gauges = new Map<string, number>();

  add(name: string, value: number, attributes: Readonly<Record<string, string>>): void {
    for (const key of [name, keyOf(name, attributes)]) {
      this.#totals.set(key, (this.#totals.get(key) ?? 0) + value);
    }
  }

  set(name: string, value: number | undefined, attributes: Readonly<Record<string, string>>): void {
    const key = keyOf(name, attributes);
    if (value === undefined) this.#gauges.delete(key);
    else this.#gauges.set(key, value);
  }

  /** A counter's total, over all attributes or for those given. */
  total(name: string, attributes?: Readonly<Record<string, string>>): number {
    return this.#totals.get(attributes ? keyOf(name, attributes) : name) ?? 0;
  }

  /** The values of all series of a gauge, by shard id, or by "" where it has none. */
  gauge(name: string): Readonly<Record<string, number>> {
    const series: Record<string, number> = {};
    for (const [key, value] of this.#gauges) {
      const [gauge, attributes] = JSON.parse(key) as [string, [string, string][]];
      if (gauge === name) series[Object.fromEntries(attributes)["shardId"] ?? ""] = value;
    }
    return series;
  }
}

function keyOf(name: string, attributes: Readonly<Record<string, string>>): string {
  const own = Object.entries(attributes).filter(
    ([key]) => key !== "stream" && key !== "application",
  );
  return JSON.stringify([name, own.toSorted()]);
}
