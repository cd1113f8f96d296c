/** Values of an interval that stay distinct: seven decades within four percent. */
const MAX_VALUES = 500;

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
 * Gathers values of 0 and above. Those that lie within some percent of each other are reported as their
 * mean, so that count and sum stay true whatever comes; the more they are spread, the coarser.
 */
export class DistributionBuilder {
  #growth = 1.02;
  #buckets = new Map<number, Bucket>();

  record(value: number): void {
    this.#put(this.#indexOf(value), 1, value);
    while (this.#buckets.size > MAX_VALUES) this.#coarsen();
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

/**
 * The values themselves, each as often as it came, in order. Where that are more than `most`, the mean
 * of each of `most` equal shares of them: the mean of all is exact, and percentiles are as far off as
 * a share is wide. (A few of the values picked instead would leave out the rare large ones, or count
 * them many times over.)
 */
export function samplesOf({ values, counts, count }: Distribution, most: number): number[] {
  const inOrder = values
    .map((value, i) => ({ value, left: counts[i]! }))
    .toSorted((a, b) => a.value - b.value);
  const samples = Math.min(count, most);
  const share = count / samples;
  let at = 0;
  return Array.from({ length: samples }, () => {
    let sum = 0;
    for (let missing = share; missing > share * 1e-9 && at < inOrder.length;) {
      const each = inOrder[at]!;
      const taken = Math.min(missing, each.left);
      sum += each.value * taken;
      missing -= taken;
      each.left -= taken;
      if (each.left <= share * 1e-9) at += 1;
    }
    return sum / share;
  });
}
