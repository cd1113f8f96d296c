/**
 * Handles records, and returns their number. Work before it calls `begin` (connections, iterators,
 * the first page) is not counted. If it runs in another process, it returns the CPU used there.
 */
export type Contestant = (
  begin: () => void,
) => Promise<{ readonly records: number; readonly cpuMicros?: number }>;

/** The cost of a round, which a contestant's process prints as one line. */
export interface Cost {
  readonly records: number;
  readonly cpuMicros: number;
}

export interface Comparison {
  /** The median of each contestant's measurements. */
  readonly cpuMicrosPerRecord: Readonly<Record<string, number>>;
  /** The median over the rounds of the first contestant's measurement divided by each other's. */
  readonly ratioToFirst: Readonly<Record<string, number>>;
  readonly rounds: number;
}

/**
 * Runs the contestants in turn, A B A B …, after one uncounted round. Ratios are computed within a
 * round, so that a drifting machine speed has no influence.
 */
export async function compare(
  contestants: Readonly<Record<string, Contestant>>,
  rounds: number,
): Promise<Comparison> {
  const names = Object.keys(contestants);
  const measures: Record<string, number>[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const measure: Record<string, number> = {};
    for (const name of names) measure[name] = await cpuPerRecord(contestants[name]!);
    if (round > 0) measures.push(measure);
    console.error(round === 0 ? "warm-up" : `round ${round}`, measure);
  }
  const [first] = names;
  const over = (of: (measure: Record<string, number>) => number): number =>
    Number(median(measures.map(of)).toFixed(3));
  return {
    cpuMicrosPerRecord: Object.fromEntries(names.map((name) => [name, over((f) => f[name]!)])),
    ratioToFirst: Object.fromEntries(
      names.slice(1).map((name) => [name, over((f) => f[first!]! / f[name]!)]),
    ),
    rounds,
  };
}

async function cpuPerRecord(contestant: Contestant): Promise<number> {
  const { records, cpuMicros } = await costOf(contestant);
  return cpuMicros / records;
}

/** CPU of a round, user and system, in microseconds. */
export async function costOf(contestant: Contestant): Promise<Cost> {
  let before = process.cpuUsage();
  const { records, cpuMicros } = await contestant(() => (before = process.cpuUsage()));
  const { user, system } = process.cpuUsage(before);
  return { records, cpuMicros: cpuMicros ?? user + system };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
