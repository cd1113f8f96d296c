import {
  checkpointAt,
  isSequenceNumber,
  SHARD_END,
  shardEndAt,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StoreScope,
  type WorkerRow,
} from "@kc/core";
import { applicationColumns, applicationOfColumns, type ShardLease } from "@kc/core/adapter";
import type { SqliteRow, SqliteValue } from "./driver.ts";

/** The columns of a scope: `application`, `stream_name`. */
export const keyOf = ({ application, streamName }: StoreScope): readonly [string, string] => [
  application,
  streamName,
];

/**
 * The values of `sequence_number`, `sub_sequence_number`, `shard_end` and `ahead`. All are empty without a checkpoint. A
 * shard's end may have a number.
 */
export function checkpointValues(checkpoint: Checkpoint | undefined): readonly SqliteValue[] {
  if (checkpoint === undefined) return [null, null, 0, null];
  if (checkpoint.kind === "shard-end") return [checkpoint.sequenceNumber ?? null, null, 1, null];
  const { sequenceNumber, subSequenceNumber, ahead } = checkpoint;
  return [sequenceNumber, subSequenceNumber ?? null, 0, ahead ?? null];
}

/** @throws StoreError STORE_CORRUPT if another program wrote a value that is not a checkpoint */
export function checkpointOf(row: SqliteRow | undefined): Checkpoint | undefined {
  if (row === undefined) return undefined;
  const isEnd = Number(row["shard_end"]) === 1;
  const sequenceNumber = row["sequence_number"] ?? null;
  if (sequenceNumber === null) return isEnd ? SHARD_END : undefined;
  if (typeof sequenceNumber !== "string" || !isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `a row of kc_checkpoints holds ${String(sequenceNumber)} as a sequence number: reset that shard`,
    );
  }
  if (isEnd) return shardEndAt(sequenceNumber);
  const sub = row["sub_sequence_number"] ?? null;
  const ahead = row["ahead"] ?? null;
  return checkpointAt(
    sub === null ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: Number(sub) },
    ahead === null ? undefined : String(ahead),
  );
}

/** The lease that decides who may write a shard's checkpoint. Without a row, no worker ever held the shard. */
export function leaseOf(row: SqliteRow | undefined): ShardLease {
  const owner = row?.["owner"] ?? null;
  return {
    epoch: Number(row?.["epoch"] ?? 0),
    owner: owner === null ? undefined : String(owner),
  };
}

export function workerOf(row: SqliteRow): WorkerRow {
  const maxShards = row["max_shards"] ?? null;
  return {
    workerId: String(row["worker_id"]),
    incarnation: String(row["incarnation"]),
    counter: Number(row["counter"]),
    weight: Number(row["weight"]),
    maxShards: maxShards === null ? undefined : Number(maxShards),
  };
}

/** The values in the order of the columns after those of the scope. */
export function applicationValues(row: ApplicationRow): readonly SqliteValue[] {
  const columns = applicationColumns(row);
  return [
    columns.stream_arn,
    columns.stream_created_at,
    columns.start,
    columns.start_timestamp,
    columns.started_at,
    columns.migrated ? 1 : 0,
  ];
}

export function applicationOf(scope: StoreScope, row: SqliteRow): ApplicationRow {
  const number = (name: string): number | null => (row[name] === null ? null : Number(row[name]));
  return applicationOfColumns({
    application: scope.application,
    stream_name: scope.streamName,
    stream_arn: String(row["stream_arn"]),
    stream_created_at: number("stream_created_at"),
    start: String(row["start"]),
    start_timestamp: number("start_timestamp"),
    started_at: Number(row["started_at"]),
    migrated: Number(row["migrated"]) === 1,
  });
}
