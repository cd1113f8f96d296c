import { Canned } from "../read/canned.ts";
import type { ContestantName } from "../read/contestant.ts";
import { ContestantProcess, nodeContestant } from "../read/contestant-process.ts";
import { compare, type Contestant } from "../rounds.ts";
import { AGGREGATED, AGGREGATES, BYTES, KEYS } from "./user-records.ts";

/** An odd number, so that the median of quotients is one of them, and its reciprocal is that of theirs. */
const ROUNDS = 5;
const ROUNDS_BY_HAND = 3;
const SHARED = { shards: 24, bytes: BYTES };
/** Both kinds of page are 2 MB on the wire. The first one of each shard is not counted, nor is the last. */
const PLAIN = { ...SHARED, pages: 6, records: 10_000 };
const PACKED = { ...SHARED, pages: 5, records: AGGREGATES, aggregated: AGGREGATED };

/**
 * A whole consumer of aggregates, beside one of the same records not aggregated, and beside a loop over the SDK that
 * takes the same aggregates apart with `aws-kinesis-agg`. Each is a process of its own; each stream is a canned server
 * of its own. In each round, each reads all pages of all shards.
 */
export async function compareReading(): Promise<object> {
  const running: AsyncDisposable[] = [];
  const start = (name: ContestantName, canned: Canned): Contestant => {
    const contestant = new ContestantProcess(nodeContestant(name, canned));
    running.push(contestant);
    return contestant.round;
  };
  try {
    const serve = async (pages: Canned["pages"]): Promise<Canned> => {
      const canned = await Canned.start(pages);
      running.push(canned);
      return canned;
    };
    const consumers = { notAggregated: start("consumer", await serve(PLAIN)) };
    const byHand: Record<string, Contestant> = {};
    for (const [name, keys] of Object.entries(KEYS)) {
      const canned = await serve({ ...PACKED, keys });
      Object.assign(consumers, { [name]: start("consumer", canned) });
      byHand[name] = start("sdkLoopAndAwsKinesisAgg", canned);
    }
    return {
      ...(await besideNotAggregated(consumers)),
      timesLessThanByHand: await besideByHand(consumers, byHand),
    };
  } finally {
    for (const each of running.toReversed()) await each[Symbol.asyncDispose]();
  }
}

async function besideNotAggregated(
  consumers: Readonly<Record<string, Contestant>>,
): Promise<object> {
  const { cpuMicrosPerRecord, ratioToFirst, rounds } = await compare(consumers, ROUNDS);
  const ratioToNotAggregated = Object.fromEntries(
    Object.entries(ratioToFirst).map(([name, ratio]) => [name, Number((1 / ratio).toFixed(2))]),
  );
  return { cpuMicrosPerRecord, ratioToNotAggregated, rounds };
}

async function besideByHand(
  consumers: Readonly<Record<string, Contestant>>,
  byHand: Readonly<Record<string, Contestant>>,
): Promise<Readonly<Record<string, number>>> {
  const times: Record<string, number> = {};
  for (const [name, loop] of Object.entries(byHand)) {
    console.error(`${name}, by hand`);
    const contestants = { byHand: loop, consumer: consumers[name]! };
    const { ratioToFirst } = await compare(contestants, ROUNDS_BY_HAND);
    times[name] = ratioToFirst.consumer!;
  }
  return times;
}
