/** The number of values in each distribution: enough for a reliable p99. */
export const VALUES = 10_000;

/** Durations of calls and handlers in milliseconds, the same in every run. */
export const DISTRIBUTIONS: Readonly<Record<string, readonly number[]>> = {
  uniform: valuesOf((random) => 10_000 * random()),
  normal: valuesOf((random) => Math.max(0, 500 + 100 * standardNormal(random))),
  lognormal: valuesOf((random) => 20 * Math.exp(standardNormal(random))),
  bimodal: valuesOf((random) => (random() < 0.7 ? 2 + random() : 1500 + 500 * random())),
  constant: valuesOf(() => 42),
};

/** The smallest value that at least the share `q` of all does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1]!;
}

function valuesOf(next: (random: () => number) => number): readonly number[] {
  const random = randomFrom(42);
  return Array.from({ length: VALUES }, () => next(random));
}

/** A linear congruential generator: numbers from 0 to below 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The Box–Muller transform. */
function standardNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
