import {
  checkpointAt,
  compareCheckpoints,
  isSequenceNumber,
  NamespaceConflictError,
  SHARD_END,
  StoreError,
  type ApplicationRow,
  type BulkCheckpointResult,
  type Checkpoint,
  type CheckpointWrite,
  type Fence,
  type StartPosition,
  type StoreScope,
} from "@kc/core";
import type { MysqlRow } from "./database.ts";
import type { CheckpointColumns } from "./statements.ts";

/** What stands in a shard's row. Of a shard's end the number that stands beside it is kept. */
export interface StoredCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly sequenceNumber: string;
}

/** Who may write a shard's checkpoint. */
export interface Lease {
  /** 0 = never held. */
  readonly epoch: number;
  /** Undefined = free. */
  readonly owner: string | undefined;
}

/** Text that came as the hexadecimal of its UTF-8. */
export function textOf(hex: string | null | undefined): string | undefined {
  return typeof hex === "string" ? Buffer.from(hex, "hex").toString("utf8") : undefined;
}

/**
 * Looks at the answer of `readCheckpoints` for who has the namespace.
 * @throws NamespaceConflictError if another scope has it, or one that differs in case and whose rows
 * this table's collation takes for ours.
 * @throws StoreError STORE_UNAVAILABLE from a server that is read-only
 */
export function checkPlace(rows: readonly MysqlRow[], scope: StoreScope, namespace: string): void {
  refuseReplica(rows[0]);
  refuseAnother(rows[0], scope, namespace);
  for (const row of rows) {
    const found = textOf(row["namespace"]) ?? namespace;
    if (found !== namespace) throw conflict(namespace, `the rows of "${found}" stand in its place`);
  }
}

/** The checkpoints in the answer of `readCheckpoints`, by shard. @throws StoreError STORE_CORRUPT */
export function checkpointsOf(rows: readonly MysqlRow[]): Map<string, StoredCheckpoint> {
  const checkpoints = new Map<string, StoredCheckpoint>();
  for (const row of rows) {
    const shardId = textOf(row["shard_id"]);
    if (shardId !== undefined) checkpoints.set(shardId, storedOf(row, shardId));
  }
  return checkpoints;
}

function refuseReplica(row: MysqlRow | undefined): void {
  // 0 and 1; a name in MariaDB 12.
  const writable = (value: string | null | undefined): boolean => value === "0" || value === "OFF";
  if (writable(row?.["read_only"]) && writable(row?.["innodb_read_only"])) return;
  throw new StoreError(
    "STORE_UNAVAILABLE",
    "MySQL: the server is read-only: a replica, whose checkpoints may be old ones, or a primary " +
      "that is failing over",
    { retryable: true },
  );
}

function refuseAnother(row: MysqlRow | undefined, scope: StoreScope, namespace: string): void {
  const application = textOf(row?.["application"]);
  const streamName = textOf(row?.["stream_name"]);
  if (application === undefined) return;
  if (application === scope.application && streamName === scope.streamName) return;
  throw conflict(namespace, `application "${application}" on ${streamName} has it`);
}

function conflict(namespace: string, detail: string): NamespaceConflictError {
  return new NamespaceConflictError(
    `the namespace "${namespace}" is taken: ${detail}. Give the store another \`namespace\` or ` +
      "`table`, or the application another name.",
  );
}

/** What we added counts only while it belongs to the number that stands there: Go writes that alone. */
function storedOf(row: MysqlRow, shardId: string): StoredCheckpoint {
  const sequenceNumber = row["sequence_number"];
  if (typeof sequenceNumber !== "string" || !isSequenceNumber(sequenceNumber)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `MySQL: ${shardId} has ${sequenceNumber} as its sequence number: reset that shard`,
    );
  }
  const ours = row["is_current"] === "1";
  if (ours && row["kc_shard_end"] === "1") return { checkpoint: SHARD_END, sequenceNumber };
  const sub = (ours && row["kc_sub_sequence_number"]) || undefined;
  const position =
    sub === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: Number(sub) };
  return { checkpoint: checkpointAt(position), sequenceNumber };
}

/** `before` is what stands there: beside a shard's end its number stays, 0 if there is none. */
export function columnsOf(
  shardId: string,
  checkpoint: Checkpoint,
  before: StoredCheckpoint | undefined,
): CheckpointColumns {
  const stands = BigInt(before?.sequenceNumber ?? "0");
  if (checkpoint.kind === "shard-end") {
    return { shardId, sequenceNumber: stands, at: stands, subSequenceNumber: null, shardEnd: 1 };
  }
  const sequenceNumber = BigInt(checkpoint.sequenceNumber);
  const subSequenceNumber = checkpoint.subSequenceNumber ?? null;
  const at = subSequenceNumber === null ? null : sequenceNumber;
  return { shardId, sequenceNumber, at, subSequenceNumber, shardEnd: null };
}

/** What becomes of a write, given what stands there. */
export function outcomeOf(
  { checkpoint, fence }: CheckpointWrite,
  lease: Lease,
  stored: Checkpoint | undefined,
): BulkCheckpointResult {
  if (!holds(fence, lease)) return { outcome: "lease-lost" };
  const order = stored === undefined ? 1 : compareCheckpoints(checkpoint, stored);
  if (stored === undefined || order > 0) return { outcome: "written", stored: checkpoint };
  return { outcome: order === 0 ? "same" : "behind", stored };
}

/** Without a fence, only a shard that nobody holds can be written. */
function holds(fence: Fence | undefined, lease: Lease): boolean {
  return fence === undefined
    ? lease.owner === undefined
    : lease.owner === fence.owner && lease.epoch === fence.epoch;
}

export function leaseOf(row: MysqlRow): Lease {
  return { epoch: Number(row["epoch"]), owner: textOf(row["owner"]) };
}

/** In the order of the columns after the namespace. Times are milliseconds since 1970. */
export function applicationValues(row: ApplicationRow): readonly (string | number | null)[] {
  const { start } = row;
  return [
    row.application,
    row.streamName,
    row.streamARN,
    row.streamCreationTimestamp?.getTime() ?? null,
    typeof start === "string" ? start : "AT_TIMESTAMP",
    typeof start === "string" ? null : start.timestamp.getTime(),
    row.startedAt.getTime(),
    row.migrated ? 1 : 0,
  ];
}

export function applicationOf(row: MysqlRow): ApplicationRow {
  const created = row["stream_created_at"] ?? null;
  return {
    application: textOf(row["application"]) ?? "",
    streamName: textOf(row["stream_name"]) ?? "",
    streamARN: textOf(row["stream_arn"]) ?? "",
    ...(created === null ? {} : { streamCreationTimestamp: new Date(Number(created)) }),
    start: startOf(row),
    startedAt: new Date(Number(row["started_at"])),
    migrated: row["migrated"] === "1",
  };
}

function startOf(row: MysqlRow): StartPosition {
  const start = textOf(row["start"]);
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  return { timestamp: new Date(Number(row["start_timestamp"])) };
}
