import type { Stopwatch } from "../clock.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { Shard } from "../kinesis/shard.ts";
import { compareSequenceNumbers, type Checkpoint } from "./position.ts";
import type { ApplicationRow } from "./store.ts";

/** What is known about an application's first start when the reading of a shard begins. */
export interface ApplicationStart {
  readonly row: ApplicationRow;
  /** True if this scan has created the row: then `start` applies as configured. */
  readonly firstStart: boolean;
  /** The time since the application was opened. */
  readonly sinceOpened: Stopwatch;
}

/**
 * Whether the shard follows others that were read: one of its parents is listed or has a checkpoint, or the
 * shard is younger than every checkpoint. Sequence numbers grow with time across all shards of a stream: a
 * shard that starts above every checkpoint was created later, even if all its ancestors have expired.
 */
export function follows(
  { parentShardIds, startingSequenceNumber: first }: Followed,
  isListed: (shardId: string) => boolean,
  checkpoints: ReadonlyMap<string, Checkpoint>,
): boolean {
  if (parentShardIds.some((id) => isListed(id) || checkpoints.has(id))) return true;
  // Shards without parents prove nothing: the starting numbers of a stream's first shards differ too.
  if (parentShardIds.length === 0 || first === undefined || checkpoints.size === 0) return false;
  for (const checkpoint of checkpoints.values()) {
    if (!isBelow(checkpoint, first)) return false;
  }
  return true;
}

type Followed = Pick<Shard, "parentShardIds" | "startingSequenceNumber">;

/** Whether a checkpoint is below a number. A shard end without a number is not. */
function isBelow(checkpoint: Checkpoint, sequenceNumber: string): boolean {
  const { sequenceNumber: at } = checkpoint as { readonly sequenceNumber?: string };
  return at !== undefined && compareSequenceNumbers(at, sequenceNumber) < 0;
}

/** What is known about the shard: see `ShardAssignment`. */
export interface ShardHistory {
  readonly checkpoint: Checkpoint | undefined;
  readonly presentAtStart: boolean;
  readonly afterParent: boolean;
  /** True if no worker has held the shard before. At a later grant LATEST would skip the records since. */
  readonly firstGrant: boolean;
}

/**
 * Where the reading of a shard begins. Pure. The first rule that applies decides:
 * - a shard with a checkpoint: after it;
 * - a shard that appeared while the stream was being read: at its first record, whatever `start` is;
 * - a child in an application that was migrated from the Go library: at its first record, since Go
 *   kept no row with the time of the first start;
 * - the application's first start: at `start`. For a shard that had to wait for its parents or was held
 *   before, LATEST becomes the time of the start, so that records that arrived meanwhile are not skipped;
 * - a later start: at the time of the first start instead of LATEST. For a shard that was created after that
 *   time this is its first record.
 */
export function startPosition(
  { row, firstStart }: Pick<ApplicationStart, "row" | "firstStart">,
  { checkpoint, presentAtStart, afterParent, firstGrant }: ShardHistory,
): IteratorPosition {
  if (checkpoint?.kind === "position") return afterCheckpoint(checkpoint);
  if (!presentAtStart || row.start === "TRIM_HORIZON" || (row.migrated && afterParent)) {
    return { ShardIteratorType: "TRIM_HORIZON" };
  }
  if (row.start !== "LATEST") {
    return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: row.start.timestamp };
  }
  return firstStart && firstGrant && !afterParent
    ? { ShardIteratorType: "LATEST" }
    : sinceFirstStart(row);
}

/**
 * Where to begin again after an iterator was lost before it returned a record. LATEST would skip the records
 * that arrived meanwhile.
 */
export function restartPosition(start: IteratorPosition, row: ApplicationRow): IteratorPosition {
  return start.ShardIteratorType === "LATEST" ? sinceFirstStart(row) : start;
}

/** After a checkpoint inside an aggregate, the aggregate is read again; its done user records are dropped. */
function afterCheckpoint(checkpoint: Checkpoint & { kind: "position" }): IteratorPosition {
  return {
    ShardIteratorType:
      checkpoint.subSequenceNumber === undefined ? "AFTER_SEQUENCE_NUMBER" : "AT_SEQUENCE_NUMBER",
    StartingSequenceNumber: checkpoint.sequenceNumber,
  };
}

function sinceFirstStart(row: ApplicationRow): IteratorPosition {
  return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: row.startedAt };
}
