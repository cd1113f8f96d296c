/** Below the 150 that PutMetricData takes for one metric. */
const MOST_VALUES = 100;

/** Values, and how often each came. */
export interface Distribution {
  readonly values: readonly number[];
  readonly counts: readonly number[];
  /** The sum of the counts. */
  readonly count: number;
}

interface Bucket {
  count: number;
  sum: number;
}

/**
 * Gathers values of 0 and above. Those that lie within some percent of each other are told as their
 * mean, so that count and sum stay true whatever comes; the more they are spread, the coarser.
 */
export class DistributionBuilder {
  #growth = 1.02;
  #buckets = new Map<number, Bucket>();

  record(value: number): void {
    this.#put(this.#indexOf(value), 1, value);
    while (this.#buckets.size > MOST_VALUES) this.#coarsen();
  }

  build(): Distribution {
    const buckets = [...this.#buckets.values()];
    return {
      values: buckets.map(({ count, sum }) => sum / count),
      counts: buckets.map(({ count }) => count),
      count: buckets.reduce((total, { count }) => total + count, 0),
    };
  }

  #indexOf(value: number): number {
    return value > 0 ? Math.floor(Math.log(value) / Math.log(this.#growth)) : -Infinity;
  }

  #put(index: number, count: number, sum: number): void {
    const bucket = this.#buckets.get(index);
    if (bucket === undefined) this.#buckets.set(index, { count, sum });
    else {
      bucket.count += count;
      bucket.sum += sum;
    }
  }

  /** Neighbours become one. */
  #coarsen(): void {
    const finer = this.#buckets;
    this.#growth **= 2;
    this.#buckets = new Map();
    for (const [index, { count, sum }] of finer) this.#put(Math.floor(index / 2), count, sum);
  }
}
