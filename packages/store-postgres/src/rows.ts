import {
  checkpointAt,
  isSequenceNumber,
  SHARD_END,
  shardEndAt,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StoreScope,
} from "@kc/core";
import {
  aheadColumn,
  applicationColumns,
  applicationOfColumns,
  checkpointInside,
  NO_NUMBER,
  sharedNumber,
  withAhead,
} from "@kc/core/adapter";
import type { PostgresRow } from "./driver.ts";

/**
 * A checkpoint as the input of statements. `sequence_number` is the column that Go reads, which cannot be empty;
 * `inside` is the aggregate that the position lies in. A shard's end without a number keeps that of the row, or
 * gets 0 if there is none.
 */
export function checkpointJson(checkpoint: Checkpoint): {
  readonly sequence_number: string;
  readonly inside: string | null;
  readonly sub_sequence_number: number | null;
  readonly shard_end: boolean;
  readonly ahead: string | null;
} {
  const sequence_number = sharedNumber(checkpoint) ?? NO_NUMBER;
  const ahead = aheadColumn(checkpoint) ?? null;
  const shard_end = checkpoint.kind === "shard-end";
  if (checkpoint.kind === "shard-end" || checkpoint.subSequenceNumber === undefined) {
    return { sequence_number, inside: null, sub_sequence_number: null, shard_end, ahead };
  }
  const { sequenceNumber: inside, subSequenceNumber: sub_sequence_number } = checkpoint;
  return { sequence_number, inside, sub_sequence_number, shard_end, ahead };
}

/** @throws StoreError STORE_CORRUPT if another program wrote a value that is not a checkpoint */
export function checkpointOf(row: PostgresRow): Checkpoint {
  const sequenceNumber = row["sequence_number"] ?? "";
  const isEnd = row["shard_end"] === "true";
  if (isEnd && sequenceNumber === NO_NUMBER) return SHARD_END;
  if (!isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `the row of ${String(row["shard_id"])} holds ${sequenceNumber} as a sequence number: reset that shard`,
      row["shard_id"] ? { shardId: row["shard_id"] } : {},
    );
  }
  if (isEnd) return shardEndAt(sequenceNumber);
  const sub = row["sub_sequence_number"] ?? null;
  const whole = row["whole"] ?? NO_NUMBER;
  const checkpoint =
    sub === null
      ? checkpointAt({ sequenceNumber })
      : checkpointInside({ sequenceNumber, subSequenceNumber: Number(sub) }, whole);
  return withAhead(checkpoint, row["ahead"]);
}

/** The owner of the namespace, from its application row. */
export function claimOf(row: PostgresRow | undefined): StoreScope | undefined {
  if (row === undefined) return undefined;
  return { application: String(row["application"]), streamName: String(row["stream_name"]) };
}

/** Input for `json_to_record`: Postgres reads times as ISO 8601. */
export function applicationJson(row: ApplicationRow): Readonly<Record<string, unknown>> {
  const columns = applicationColumns(row);
  const time = (millis: number | null): Date | null => (millis === null ? null : new Date(millis));
  return {
    ...columns,
    stream_created_at: time(columns.stream_created_at),
    start_timestamp: time(columns.start_timestamp),
    started_at: time(columns.started_at),
  };
}

export function applicationOf(row: PostgresRow): ApplicationRow {
  const number = (name: string): number | null => {
    const value = row[name] ?? null;
    return value === null ? null : Number(value);
  };
  return applicationOfColumns({
    application: String(row["application"]),
    stream_name: String(row["stream_name"]),
    stream_arn: String(row["stream_arn"]),
    stream_created_at: number("stream_created_at"),
    start: String(row["start"]),
    start_timestamp: number("start_timestamp"),
    started_at: Number(row["started_at"]),
    migrated: row["migrated"] === "true",
  });
}
