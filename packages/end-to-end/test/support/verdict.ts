import { MAX_ATTEMPTS } from "./worker-task.ts";

/** One handler call of one process. */
export interface Handling {
  readonly worker: string;
  readonly shardId: string;
  readonly key: string;
  readonly number: number;
  /** 1 = the first. */
  readonly attempt: number;
  /** When it began, by the clock that all processes share. */
  readonly beganAt: bigint;
  /** Undefined = its process was gone before. */
  readonly endedAt: bigint | undefined;
  /** Did it end with an error? */
  readonly failed: boolean;
}

export interface Verdict {
  /** Records that were put, never handled to their end, and have no dead letter. */
  readonly lost: readonly string[];
  /** First deliveries that came before an earlier record of their key was done, or given up. */
  readonly outOfOrder: readonly string[];
  /** Records that were handled again although nothing had been done to the process before. */
  readonly repeatedInPeace: readonly string[];
  /** Handlers of one key at once in one process, or in two that were neither killed nor frozen. */
  readonly overlaps: readonly string[];
  /** Dead letters of records whose last attempt no process has seen fail. */
  readonly givenUpEarly: readonly string[];
  readonly letters: number;
  readonly repeats: number;
}

/** Lines of a journal: `ready` once, then `begin|end|fail time shard sequenceNumber key:number attempt`. */
export function readJournal(worker: string, text: string): Handling[] {
  const open = new Map<string, Handling>();
  const handlings: Handling[] = [];
  // The last line may be half a one.
  for (const line of text.split("\n").slice(0, -1)) {
    const [what = "", time = "", shardId = "", , record = "", attempt] = line.split(" ");
    const [key = "", number] = record.split(":");
    const at = `${shardId} ${record}`;
    if (what === "ready") continue;
    if (what === "begin") {
      const beganAt = BigInt(time);
      open.set(at, {
        worker,
        shardId,
        key,
        number: Number(number),
        attempt: Number(attempt),
        beganAt,
        endedAt: undefined,
        failed: false,
      });
      continue;
    }
    handlings.push({ ...open.get(at)!, endedAt: BigInt(time), failed: what === "fail" });
    open.delete(at);
  }
  return [...handlings, ...open.values()];
}

/** What was done to processes: what they had handled last may come again. */
export interface Disturbed {
  /** Killed or frozen: what they had begun may also be under way elsewhere. */
  readonly violent: ReadonlySet<string>;
  /** Without their store for longer than a lease: they stop by their own deadline. */
  readonly cutOff: ReadonlySet<string>;
  /**
   * When frozen processes went on, by the clock that all share. One that was stopped after it had
   * looked at its deadline, and before its handler began, begins that one record when it continues.
   */
  readonly resumedAt: ReadonlyMap<string, bigint>;
}

/** @param letters the records that have a dead letter, as `key:number` */
export function judge(
  put: ReadonlyMap<string, number>,
  handlings: readonly Handling[],
  letters: ReadonlySet<string>,
  { violent, cutOff, resumedAt }: Disturbed,
): Verdict {
  const byKey = groupByKey(handlings);
  const inHand = firstAfter(resumedAt, handlings);
  const lost: string[] = [];
  const outOfOrder: string[] = [];
  const repeatedInPeace: string[] = [];
  const overlaps: string[] = [];
  const givenUpEarly: string[] = [];
  let repeats = 0;
  for (const [key, count] of put) {
    const inTime = (byKey.get(key) ?? []).toSorted((a, b) => (a.beganAt < b.beganAt ? -1 : 1));
    const settled = settledIn(inTime, letters);
    for (let n = 1; n <= count; n += 1) {
      const name = `${key}:${n}`;
      if (!settled.has(n)) (letters.has(name) ? givenUpEarly : lost).push(name);
    }
    let highest = 0;
    const before = new Map<number, Handling>();
    const running = new Map<string, Handling>();
    let newest: Handling | undefined;
    for (const one of inTime) {
      const what = `${key}:${one.number} by ${one.worker}`;
      const earlier = before.get(one.number);
      const isNext =
        one.number === highest + 1 && (highest === 0 || settled.get(highest)! <= one.beganAt);
      if (earlier === undefined && !isNext) outOfOrder.push(what);
      if (earlier !== undefined && isDone(earlier, letters)) {
        repeats += 1;
        const inPeace =
          !violent.has(earlier.worker) && !cutOff.has(earlier.worker) && !inHand.has(one);
        if (inPeace) repeatedInPeace.push(`${what} after ${earlier.worker}`);
      }
      highest = Math.max(highest, one.number);
      before.set(one.number, one);
      const own = running.get(one.worker);
      running.set(one.worker, one);
      if (own !== undefined && !isOver(own, one)) overlaps.push(`${what} and ${own.worker}`);
      // Its own end says nothing of the other's, which is still under way.
      if (inHand.has(one)) continue;
      if (newest !== undefined && newest.worker !== one.worker && !isOver(newest, one)) {
        if (!violent.has(newest.worker)) overlaps.push(`${what} and ${newest.worker}`);
      }
      newest = one;
    }
  }
  const found = { lost, outOfOrder, repeatedInPeace, overlaps, givenUpEarly };
  return { ...found, letters: letters.size, repeats };
}

/** Had the one ended when the other began? */
function isOver({ endedAt }: Handling, { beganAt }: Handling): boolean {
  return endedAt !== undefined && endedAt <= beganAt;
}

/** Is its record not to come again? What failed and was not given up comes again. */
function isDone({ key, number, attempt, failed }: Handling, letters: ReadonlySet<string>): boolean {
  return !failed || (attempt === MAX_ATTEMPTS && letters.has(`${key}:${number}`));
}

/** When each record of a key was done first, or had failed for the last time before it was given up. */
function settledIn(
  handlings: readonly Handling[],
  letters: ReadonlySet<string>,
): ReadonlyMap<number, bigint> {
  const settled = new Map<number, bigint>();
  for (const one of handlings) {
    const { number, endedAt } = one;
    if (endedAt === undefined || !isDone(one, letters)) continue;
    const known = settled.get(number);
    if (known === undefined || endedAt < known) settled.set(number, endedAt);
  }
  return settled;
}

/** Of each frozen process, what its handler began first after it went on. */
function firstAfter(
  resumedAt: ReadonlyMap<string, bigint>,
  handlings: readonly Handling[],
): ReadonlySet<Handling> {
  const first = new Map<string, Handling>();
  for (const one of handlings) {
    const from = resumedAt.get(one.worker);
    if (from === undefined || one.beganAt < from) continue;
    const before = first.get(one.worker);
    if (before === undefined || one.beganAt < before.beganAt) first.set(one.worker, one);
  }
  return new Set(first.values());
}

function groupByKey(handlings: readonly Handling[]): Map<string, Handling[]> {
  const groups = new Map<string, Handling[]>();
  for (const one of handlings) {
    const group = groups.get(one.key);
    if (group) group.push(one);
    else groups.set(one.key, [one]);
  }
  return groups;
}
