import { checkpointAt, type ApplicationRow, type Checkpoint, type StoreScope } from "@kc/core";
import { expect } from "vitest";

export const SCOPE: StoreScope = { application: "billing", streamName: "orders" };

/** Kinesis's sequence numbers have 56 digits: neighbouring ones are equal as doubles. */
const FIRST = 49590338271490256608559692538361571095921575989136588898n;

/** The sequence number of the `n`-th record. */
export const numberAt = (n: number): string => String(FIRST + BigInt(n));

/** The `n`-th position of a shard, with or without a sub-sequence number. */
export function at(n: number, subSequenceNumber?: number): Checkpoint {
  const sequenceNumber = numberAt(n);
  return checkpointAt(
    subSequenceNumber === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber },
  );
}

/** The position of a user record in the `n`-th record, an aggregate; `whole` = the last whole record. */
export function inside(
  n: number,
  subSequenceNumber: number,
  whole: number,
  ahead?: string,
): Checkpoint {
  const [sequenceNumber, wholeSequenceNumber] = [numberAt(n), numberAt(whole)];
  return checkpointAt({ sequenceNumber, subSequenceNumber, wholeSequenceNumber }, ahead);
}

/**
 * A shard's end that was written without a number, as it is read: without a number, or with the
 * previously stored one.
 */
export const AN_END: Checkpoint = expect.objectContaining({ kind: "shard-end" }) as Checkpoint;

export function shard(index: number): string {
  return `shardId-${String(index).padStart(12, "0")}`;
}

export const SHARD: string = shard(0);

/** An application row for a scope with every optional property, and overrides. */
export function applicationRow(
  scope: StoreScope = SCOPE,
  own: Partial<ApplicationRow> = {},
): ApplicationRow {
  return {
    ...scope,
    streamARN: `arn:aws:kinesis:eu-west-1:123456789012:stream/${scope.streamName}`,
    streamCreationTimestamp: new Date("2026-01-02T03:04:05.006Z"),
    start: "LATEST",
    startedAt: new Date("2026-07-08T09:10:11.012Z"),
    migrated: false,
    ...own,
  };
}
