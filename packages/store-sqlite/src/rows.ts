import {
  checkpointAt,
  isSequenceNumber,
  SHARD_END,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StartPosition,
  type StoreScope,
} from "@kc/core";
import type { SqliteRow, SqliteValue } from "./database.ts";

/** `sequence_number`, `sub_sequence_number`, `shard_end`: all empty = no checkpoint. */
export function checkpointValues(checkpoint: Checkpoint | undefined): readonly SqliteValue[] {
  if (checkpoint === undefined) return [null, null, 0];
  if (checkpoint.kind === "shard-end") return [null, null, 1];
  return [checkpoint.sequenceNumber, checkpoint.subSequenceNumber ?? null, 0];
}

/** @throws StoreError STORE_CORRUPT if somebody else wrote what no checkpoint can be. */
export function checkpointOf(row: SqliteRow | undefined): Checkpoint | undefined {
  if (row === undefined) return undefined;
  if (Number(row["shard_end"]) === 1) return SHARD_END;
  const sequenceNumber = row["sequence_number"];
  if (sequenceNumber === null) return undefined;
  if (typeof sequenceNumber !== "string" || !isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `a row of kc_checkpoints holds ${String(sequenceNumber)} as a sequence number: reset that shard`,
    );
  }
  const sub = row["sub_sequence_number"] ?? null;
  return checkpointAt(
    sub === null ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: Number(sub) },
  );
}

/** Who may write a shard's checkpoint. No row is a shard that nobody ever held. */
export function leaseOf(row: SqliteRow | undefined): {
  /** 0 = never held. */
  readonly epoch: number;
  /** Undefined = free. */
  readonly owner: string | undefined;
} {
  const owner = row?.["owner"] ?? null;
  return {
    epoch: Number(row?.["epoch"] ?? 0),
    owner: owner === null ? undefined : String(owner),
  };
}

/** In the order of the columns after the scope's. */
export function applicationValues(row: ApplicationRow): readonly SqliteValue[] {
  const { start } = row;
  return [
    row.streamARN,
    row.streamCreationTimestamp?.getTime() ?? null,
    typeof start === "string" ? start : "AT_TIMESTAMP",
    typeof start === "string" ? null : start.timestamp.getTime(),
    row.startedAt.getTime(),
    row.migrated ? 1 : 0,
  ];
}

export function applicationOf(scope: StoreScope, row: SqliteRow): ApplicationRow {
  const created = row["stream_created_at"] ?? null;
  return {
    application: scope.application,
    streamName: scope.streamName,
    streamARN: String(row["stream_arn"]),
    ...(created === null ? {} : { streamCreationTimestamp: new Date(Number(created)) }),
    start: startOf(row),
    startedAt: new Date(Number(row["started_at"])),
    migrated: Number(row["migrated"]) === 1,
  };
}

function startOf(row: SqliteRow): StartPosition {
  const { start } = row;
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  return { timestamp: new Date(Number(row["start_timestamp"])) };
}
