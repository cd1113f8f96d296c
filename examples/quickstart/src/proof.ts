import { compareSequenceNumbers } from "@kc/core";
import type { Handled } from "./journal.ts";

/** The comparison of the journal with the records that were put. */
export interface Proof {
  readonly put: number;
  readonly distinct: number;
  /** Put, but never handled. */
  readonly missing: number;
  /** Handled, but never put. */
  readonly unknown: number;
  /** The number of repeated records, by the run that repeated them. */
  readonly repeatsByRun: ReadonlyMap<number, number>;
  readonly keys: number;
  /** Keys whose first deliveries were not in stream order. */
  readonly keysOutOfOrder: number;
}

/** @param put the sequence numbers that the service returned to the producer */
export function prove(put: ReadonlySet<string>, handled: readonly Handled[]): Proof {
  const seen = new Set<string>();
  const repeatsByRun = new Map<number, number>();
  const lastOfKey = new Map<string, string>();
  const outOfOrder = new Set<string>();
  let unknown = 0;
  for (const { run, sequenceNumber, partitionKey } of handled) {
    if (!put.has(sequenceNumber)) unknown += 1;
    if (seen.has(sequenceNumber)) {
      repeatsByRun.set(run, (repeatsByRun.get(run) ?? 0) + 1);
      continue;
    }
    seen.add(sequenceNumber);
    const last = lastOfKey.get(partitionKey);
    if (last !== undefined && compareSequenceNumbers(last, sequenceNumber) >= 0) {
      outOfOrder.add(partitionKey);
    }
    lastOfKey.set(partitionKey, sequenceNumber);
  }
  const missing = [...put].filter((sequenceNumber) => !seen.has(sequenceNumber)).length;
  return {
    put: put.size,
    distinct: seen.size,
    missing,
    unknown,
    repeatsByRun,
    keys: lastOfKey.size,
    keysOutOfOrder: outOfOrder.size,
  };
}
