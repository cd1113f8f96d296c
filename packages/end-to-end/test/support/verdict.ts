/** One handler call of one process. */
export interface Handling {
  readonly worker: string;
  readonly shardId: string;
  readonly key: string;
  readonly number: number;
  /** When it began, by the clock that all processes share. */
  readonly beganAt: bigint;
  /** Undefined = its process was gone before. */
  readonly endedAt: bigint | undefined;
}

export interface Verdict {
  /** Records that were put and never handled to their end. */
  readonly lost: readonly string[];
  /** First deliveries that came before an earlier record of their key. */
  readonly outOfOrder: readonly string[];
  /** Records that were handled again although nothing had been done to the process before. */
  readonly repeatedInPeace: readonly string[];
  /** Handlers of one key at once, none of whose processes was killed or frozen. */
  readonly overlaps: readonly string[];
  readonly repeats: number;
}

/** Lines of a journal: `ready` once, then `begin|end time shard sequenceNumber key:number`. */
export function readJournal(worker: string, text: string): Handling[] {
  const open = new Map<string, Handling>();
  const handlings: Handling[] = [];
  // The last line may be half a one.
  for (const line of text.split("\n").slice(0, -1)) {
    const [what = "", time = "", shardId = "", , record = ""] = line.split(" ");
    const [key = "", number] = record.split(":");
    const at = `${shardId} ${record}`;
    if (what === "ready") continue;
    if (what === "begin") {
      const beganAt = BigInt(time);
      open.set(at, { worker, shardId, key, number: Number(number), beganAt, endedAt: undefined });
      continue;
    }
    handlings.push({ ...open.get(at)!, endedAt: BigInt(time) });
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

export function judge(
  put: ReadonlyMap<string, number>,
  handlings: readonly Handling[],
  { violent, cutOff, resumedAt }: Disturbed,
): Verdict {
  const byKey = groupByKey(handlings);
  const inHand = firstAfter(resumedAt, handlings);
  const lost: string[] = [];
  const outOfOrder: string[] = [];
  const repeatedInPeace: string[] = [];
  const overlaps: string[] = [];
  let repeats = 0;
  for (const [key, count] of put) {
    const inTime = (byKey.get(key) ?? []).toSorted((a, b) => (a.beganAt < b.beganAt ? -1 : 1));
    const finished = new Set(inTime.filter(({ endedAt }) => endedAt).map(({ number }) => number));
    for (let n = 1; n <= count; n += 1) if (!finished.has(n)) lost.push(`${key}:${n}`);
    let highest = 0;
    const before = new Map<number, Handling>();
    let running: Handling | undefined;
    for (const one of inTime) {
      const what = `${key}:${one.number} by ${one.worker}`;
      const earlier = before.get(one.number);
      if (earlier === undefined && one.number !== highest + 1) outOfOrder.push(what);
      if (earlier !== undefined) {
        repeats += 1;
        const inPeace =
          !violent.has(earlier.worker) && !cutOff.has(earlier.worker) && !inHand.has(one);
        if (inPeace) repeatedInPeace.push(`${what} after ${earlier.worker}`);
      }
      highest = Math.max(highest, one.number);
      before.set(one.number, one);
      // Its own end says nothing of the other's, which is still under way.
      if (inHand.has(one)) continue;
      const isOver = running?.endedAt !== undefined && running.endedAt <= one.beganAt;
      if (running && !isOver && !violent.has(running.worker) && running.worker !== one.worker) {
        overlaps.push(`${what} and ${running.worker}`);
      }
      running = one;
    }
  }
  return { lost, outOfOrder, repeatedInPeace, overlaps, repeats };
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
