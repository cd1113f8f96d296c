import { compareSequenceNumbers } from "@kc/core";

/** One call of a handler, as recorded in the journal. */
export interface Handled {
  readonly worker: string;
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
}

/** The journal's lines, in the order in which the workers wrote them. */
export function readJournal(text: string): Handled[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [worker = "", shardId = "", sequenceNumber = "", partitionKey = ""] = line.split(" ");
      return { worker, shardId, sequenceNumber, partitionKey };
    });
}

export interface Verdict {
  readonly put: number;
  readonly distinct: number;
  readonly missing: number;
  readonly keys: number;
  /** First deliveries of a key that happened before that of an earlier record. */
  readonly outOfOrder: number;
  /**
   * Repeats of records that were handled by a worker that was stopped, or that handed its shard
   * over.
   */
  readonly repeatsAfterGraceful: number;
  /** Repeats, after the kill, of records that the killed worker had handled last. */
  readonly repeatsAfterKill: number;
  readonly good: boolean;
}

/** The killed worker. */
export interface Kill {
  readonly worker: string;
  /** The number of lines in the journal at that time. */
  readonly after: number;
}

/**
 * Compares the handled records with those that were put.
 * @param put the sequence numbers that the service returned
 */
export function judge(put: ReadonlySet<string>, handled: readonly Handled[], kill: Kill): Verdict {
  const lastBy = new Map<string, string>();
  const lastOfKey = new Map<string, string>();
  const repeats = { graceful: 0, kill: 0 };
  let outOfOrder = 0;
  for (const [line, { worker, sequenceNumber, partitionKey }] of handled.entries()) {
    const before = lastBy.get(sequenceNumber);
    lastBy.set(sequenceNumber, worker);
    if (before !== undefined) {
      repeats[before === kill.worker && line >= kill.after ? "kill" : "graceful"] += 1;
      continue;
    }
    const last = lastOfKey.get(partitionKey);
    if (last !== undefined && compareSequenceNumbers(last, sequenceNumber) > 0) outOfOrder += 1;
    else lastOfKey.set(partitionKey, sequenceNumber);
  }
  const missing = [...put].filter((sequenceNumber) => !lastBy.has(sequenceNumber)).length;
  return {
    put: put.size,
    distinct: lastBy.size,
    missing,
    keys: lastOfKey.size,
    outOfOrder,
    repeatsAfterGraceful: repeats.graceful,
    repeatsAfterKill: repeats.kill,
    good: missing === 0 && lastBy.size === put.size && outOfOrder === 0 && repeats.graceful === 0,
  };
}
