/** The maximum number of distinct values of an interval: enough for seven decades within four percent. */
const MAX_VALUES = 500;

/** Distinct values, and how often each was recorded. */
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
 * Collects values of at least 0 in exponential buckets. The values of a bucket are reported as their mean, so count and
 * sum are always exact. The wider the values are spread, the wider are the buckets.
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

  /** Merges pairs of neighbouring buckets. */
  #coarsen(): void {
    const finer = this.#buckets;
    this.#growth **= 2;
    this.#buckets = new Map();
    for (const [index, { count, sum }] of finer) this.#put(Math.floor(index / 2), count, sum);
  }
}

/**
 * The values in order, each repeated by its count. If there are more than `most`, they are split into `most` equal
 * shares, and the means of the shares are returned: the overall mean is exact, and the error of percentiles is the width
 * of a share. (Sampling some of the values instead would miss rare large ones, or multiply them.)
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
