import {
  checkpointAt,
  isSequenceNumber,
  NamespaceConflictError,
  shardEndAt,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StoreScope,
  type WorkerRow,
} from "@kc/core";
import {
  aheadColumn,
  applicationColumns,
  applicationOfColumns,
  checkClaim,
  checkpointInside,
  NO_NUMBER,
  sharedNumber,
  withAhead,
  type ShardLease,
} from "@kc/core/adapter";
import type { MysqlRow } from "./driver.ts";
import type { CheckpointColumns } from "./statements.ts";

/** A shard's row in the checkpoints table. */
export interface StoredCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The mark of the write that stored it, in digits; `undefined` if another program stored it. */
  readonly write: string | undefined;
}

/** A shard's row in the leases table. */
export interface StoredLease extends ShardLease {
  readonly lineage: string | undefined;
}

/** The result of `lockFreeRows`: for each table, the shards whose row no other transaction has locked. */
export function freeRows(rows: readonly MysqlRow[]): {
  readonly leases: ReadonlySet<string>;
  readonly checkpoints: ReadonlySet<string>;
} {
  const shards = (what: string): ReadonlySet<string> =>
    new Set(rows.flatMap((row) => (row["what"] === what ? [textOf(row["shard_id"]) ?? ""] : [])));
  return { leases: shards("lease"), checkpoints: shards("checkpoint") };
}

/** Decodes a text that is sent as hexadecimal UTF-8. */
export function textOf(hex: string | null | undefined): string | undefined {
  return typeof hex === "string" ? Buffer.from(hex, "hex").toString("utf8") : undefined;
}

/**
 * Checks the server and the namespace's claim, from the row of the place and those of the checkpoints.
 * @throws NamespaceConflictError if another scope has claimed the namespace, or if the table's collation matches the
 * rows of a namespace that differs only in case
 * @throws StoreError STORE_UNAVAILABLE if the server is read-only
 */
export function checkPlace(
  place: MysqlRow | undefined,
  checkpoints: readonly MysqlRow[],
  scope: StoreScope,
  namespace: string,
): void {
  refuseReplica(place);
  checkClaim(claimOf(place), scope, `namespace "${namespace}"`, "`namespace` or `table`");
  for (const row of checkpoints) {
    const found = textOf(row["namespace"]) ?? namespace;
    if (found === namespace) continue;
    throw new NamespaceConflictError(
      `the namespace "${namespace}" matches the rows of "${found}", because this table ignores case. Give ` +
        "the store another `namespace` or `table`, or the application another name.",
    );
  }
}

/**
 * @throws StoreError STORE_SCHEMA if the table's collation matches another shard's row: the table cannot hold rows of
 * both shards
 */
export function checkShards(shardIds: readonly string[], found: ReadonlySet<string>): void {
  const asked = new Set(shardIds);
  for (const shardId of found) {
    if (asked.has(shardId)) continue;
    const like =
      shardIds.find((each) => each.toLowerCase() === shardId.toLowerCase()) ?? shardIds[0];
    throw new StoreError(
      "STORE_SCHEMA",
      `MySQL: the row of shard "${shardId}" is in the place of "${like}": this table ignores ` +
        "case. ALTER TABLE … MODIFY shard_id varchar(255) COLLATE utf8mb4_bin, or use another table",
      like === undefined ? {} : { shardId: like },
    );
  }
}

/** By shard. @throws StoreError STORE_CORRUPT */
export function checkpointsOf(rows: readonly MysqlRow[]): Map<string, StoredCheckpoint> {
  const checkpoints = new Map<string, StoredCheckpoint>();
  for (const row of rows) {
    const shardId = textOf(row["shard_id"]);
    if (shardId !== undefined) checkpoints.set(shardId, storedOf(row, shardId));
  }
  return checkpoints;
}

function refuseReplica(place: MysqlRow | undefined): void {
  if (place?.["writable"] === "1") return;
  throw new StoreError(
    "STORE_UNAVAILABLE",
    "MySQL: the server is read-only: a replica, whose checkpoints may be old ones, or a primary " +
      "that is failing over",
    { retryable: true },
  );
}

function claimOf(row: MysqlRow | undefined): StoreScope | undefined {
  const application = textOf(row?.["application"]);
  const streamName = textOf(row?.["stream_name"]) ?? "";
  return application === undefined ? undefined : { application, streamName };
}

/**
 * Our columns are valid only while they belong to the stored `sequence_number`, which is all that Go writes. For a
 * position inside an aggregate, that is the last whole record: see `columnsOf`.
 */
function storedOf(row: MysqlRow, shardId: string): StoredCheckpoint {
  const sequenceNumber = row["sequence_number"];
  if (typeof sequenceNumber !== "string" || !isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `MySQL: ${shardId} has ${sequenceNumber} as its sequence number: reset that shard`,
    );
  }
  const ours = row["is_current"] === "1";
  const isInside = row["is_inside"] === "1";
  const write = row["kc_write"] ?? undefined;
  if (ours && row["kc_shard_end"] === "1") {
    const number = sequenceNumber === NO_NUMBER ? undefined : sequenceNumber;
    return { checkpoint: shardEndAt(number), write };
  }
  const sub = ((ours || isInside) && row["kc_sub_sequence_number"]) || undefined;
  const whole = isInside ? sequenceNumber : NO_NUMBER;
  const number = isInside ? String(row["kc_inside"]) : sequenceNumber;
  const checkpoint =
    sub === undefined
      ? checkpointAt({ sequenceNumber })
      : checkpointInside({ sequenceNumber: number, subSequenceNumber: Number(sub) }, whole);
  return { checkpoint: withAhead(checkpoint, row["kc_ahead"]), write };
}

/**
 * For a position inside an aggregate, `sequence_number` is the last whole record, and `kc_at` is NULL. This tells
 * earlier versions of this package that the sub-sequence number does not belong to that record.
 */
export function columnsOf(shardId: string, checkpoint: Checkpoint): CheckpointColumns {
  const sequenceNumber = BigInt(sharedNumber(checkpoint) ?? NO_NUMBER);
  const columns = { shardId, sequenceNumber, at: null, inside: null, whole: null };
  const ahead = aheadColumn(checkpoint) ?? null;
  if (checkpoint.kind === "shard-end") {
    return { ...columns, at: sequenceNumber, subSequenceNumber: null, shardEnd: 1, ahead };
  }
  const { subSequenceNumber } = checkpoint;
  if (subSequenceNumber === undefined) {
    return { ...columns, subSequenceNumber: null, shardEnd: null, ahead };
  }
  const inside = BigInt(checkpoint.sequenceNumber);
  return { ...columns, inside, whole: sequenceNumber, subSequenceNumber, shardEnd: null, ahead };
}

/** By shard. */
export function leasesOf(rows: readonly MysqlRow[]): ReadonlyMap<string, StoredLease> {
  return new Map(
    rows.map((row) => {
      const epoch = Number(row["epoch"]);
      const lease = { epoch, owner: textOf(row["owner"]), lineage: textOf(row["lineage"]) };
      return [textOf(row["shard_id"]) ?? "", lease];
    }),
  );
}

export function workersOf(rows: readonly MysqlRow[]): readonly WorkerRow[] {
  return rows.flatMap((row) => {
    const [workerId, incarnation] = [textOf(row["worker_id"]), textOf(row["incarnation"])];
    if (workerId === undefined || incarnation === undefined) return [];
    const most = row["max_shards"] ?? null;
    return [
      {
        workerId,
        incarnation,
        weight: Number(row["weight"]),
        maxShards: most === null ? undefined : Number(most),
        counter: Number(row["counter"]),
      },
    ];
  });
}

/** In the order of the columns after the namespace. */
export function applicationValues(row: ApplicationRow): readonly (string | number | null)[] {
  const columns = applicationColumns(row);
  return [
    columns.application,
    columns.stream_name,
    columns.stream_arn,
    columns.stream_created_at,
    columns.start,
    columns.start_timestamp,
    columns.started_at,
    columns.migrated ? 1 : 0,
  ];
}

export function applicationOf(row: MysqlRow): ApplicationRow {
  const text = (name: string): string => textOf(row[name]) ?? "";
  const number = (name: string): number | null => {
    const value = row[name] ?? null;
    return value === null ? null : Number(value);
  };
  return applicationOfColumns({
    application: text("application"),
    stream_name: text("stream_name"),
    stream_arn: text("stream_arn"),
    stream_created_at: number("stream_created_at"),
    start: text("start"),
    start_timestamp: number("start_timestamp"),
    started_at: Number(row["started_at"]),
    migrated: row["migrated"] === "1",
  });
}
