import { Canned } from "../read/canned.ts";
import { ContestantProcess, nodeContestant } from "../read/contestant-process.ts";
import { compare, type Contestant } from "../rounds.ts";
import { AGGREGATED, AGGREGATES, BYTES, KEYS } from "./user-records.ts";

/** An odd number, so that the median of quotients is one of them, and its reciprocal is that of theirs. */
const ROUNDS = 5;
const SHARED = { shards: 24, bytes: BYTES };
/** Both kinds of page are 2 MB on the wire. The first one of each shard is not counted, nor is the last. */
const PLAIN = { ...SHARED, pages: 6, records: 10_000 };
const PACKED = { ...SHARED, pages: 5, records: AGGREGATES, aggregated: AGGREGATED };

/**
 * A whole consumer of aggregates, beside one of the same records not aggregated. Each is a process of its
 * own, with a canned server of its own; in each round it reads all pages of all shards.
 */
export async function compareReading(): Promise<object> {
  const pages = {
    notAggregated: PLAIN,
    ...Object.fromEntries(Object.entries(KEYS).map(([name, keys]) => [name, { ...PACKED, keys }])),
  };
  const running: AsyncDisposable[] = [];
  try {
    const contestants: Record<string, Contestant> = {};
    for (const [name, each] of Object.entries(pages)) {
      const canned = await Canned.start(each);
      const consumer = new ContestantProcess(nodeContestant("consumer", canned));
      running.push(canned, consumer);
      contestants[name] = consumer.round;
    }
    const { cpuMicrosPerRecord, ratioToFirst, rounds } = await compare(contestants, ROUNDS);
    const ratioToNotAggregated = Object.fromEntries(
      Object.entries(ratioToFirst).map(([name, ratio]) => [name, Number((1 / ratio).toFixed(2))]),
    );
    return { cpuMicrosPerRecord, ratioToNotAggregated, rounds };
  } finally {
    for (const each of running.toReversed()) await each[Symbol.asyncDispose]();
  }
}
