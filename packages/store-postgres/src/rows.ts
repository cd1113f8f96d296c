import {
  checkpointAt,
  isSequenceNumber,
  NamespaceConflictError,
  SHARD_END,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StartPosition,
  type StoreScope,
} from "@kc/core";
import type { PostgresRow } from "./client.ts";

/** A checkpoint as the statements take it. A shard's end takes the row's number, 0 if there is none. */
export function checkpointJson(checkpoint: Checkpoint): {
  readonly sequence_number: string;
  readonly sub_sequence_number: number | null;
  readonly shard_end: boolean;
} {
  if (checkpoint.kind === "shard-end") {
    return { sequence_number: "0", sub_sequence_number: null, shard_end: true };
  }
  return {
    sequence_number: checkpoint.sequenceNumber,
    sub_sequence_number: checkpoint.subSequenceNumber ?? null,
    shard_end: false,
  };
}

/** @throws StoreError STORE_CORRUPT if somebody else wrote what no checkpoint can be. */
export function checkpointOf(row: PostgresRow): Checkpoint {
  if (row["shard_end"] === "true") return SHARD_END;
  const sequenceNumber = row["sequence_number"] ?? "";
  if (!isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `the row of ${String(row["shard_id"])} holds ${sequenceNumber} as a sequence number: reset that shard`,
      row["shard_id"] ? { shardId: row["shard_id"] } : {},
    );
  }
  const sub = row["sub_sequence_number"] ?? null;
  return checkpointAt(
    sub === null ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: Number(sub) },
  );
}

/** @throws NamespaceConflictError if the namespace is another application's, or another stream's. */
export function checkClaim(
  row: PostgresRow | undefined,
  scope: StoreScope,
  namespace: string,
): void {
  if (row === undefined) return;
  const { application, stream_name: streamName } = row;
  if (application === scope.application && streamName === scope.streamName) return;
  throw new NamespaceConflictError(
    `the namespace "${namespace}" is that of application "${application}" on stream ` +
      `"${streamName}": application "${scope.application}" on stream "${scope.streamName}" would ` +
      `share its checkpoints. Give one of them the option "namespace", or another table.`,
  );
}

export function applicationJson(row: ApplicationRow): Readonly<Record<string, unknown>> {
  const { start } = row;
  return {
    application: row.application,
    stream_name: row.streamName,
    stream_arn: row.streamARN,
    stream_created_at: row.streamCreationTimestamp ?? null,
    start: typeof start === "string" ? start : "AT_TIMESTAMP",
    start_timestamp: typeof start === "string" ? null : start.timestamp,
    started_at: row.startedAt,
    migrated: row.migrated,
  };
}

export function applicationOf(row: PostgresRow): ApplicationRow {
  const created = row["stream_created_at"] ?? null;
  return {
    application: String(row["application"]),
    streamName: String(row["stream_name"]),
    streamARN: String(row["stream_arn"]),
    ...(created === null ? {} : { streamCreationTimestamp: new Date(Number(created)) }),
    start: startOf(row),
    startedAt: new Date(Number(row["started_at"])),
    migrated: row["migrated"] === "true",
  };
}

function startOf(row: PostgresRow): StartPosition {
  const { start } = row;
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  return { timestamp: new Date(Number(row["start_timestamp"])) };
}
