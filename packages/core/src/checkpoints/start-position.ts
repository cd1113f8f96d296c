import type { Stopwatch } from "../clock.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { Shard } from "../kinesis/shard.ts";
import { compareSequenceNumbers, type Checkpoint } from "./position.ts";
import type { ApplicationRow } from "./store.ts";

/** What is known of an application's first start when a shard's reading begins. */
export interface ApplicationStart {
  readonly row: ApplicationRow;
  /** This scan is the one that made the row: `start` applies as it was configured. */
  readonly firstStart: boolean;
  /** Runs since the application was opened. */
  readonly sinceOpened: Stopwatch;
}

/**
 * Does the shard follow others that were read: is a parent of it listed or checkpointed, or is it
 * younger than every checkpoint? Numbers of one stream grow with time over all of its shards: one
 * that begins above all that was read was made later, though all its ancestors may have expired.
 */
export function follows(
  { parentShardIds, startingSequenceNumber: first }: Followed,
  isListed: (shardId: string) => boolean,
  checkpoints: ReadonlyMap<string, Checkpoint>,
): boolean {
  if (parentShardIds.some((id) => isListed(id) || checkpoints.has(id))) return true;
  // Those that the stream was created with differ in their numbers too.
  if (parentShardIds.length === 0 || first === undefined || checkpoints.size === 0) return false;
  for (const checkpoint of checkpoints.values()) {
    if (!isBelow(checkpoint, first)) return false;
  }
  return true;
}

type Followed = Pick<Shard, "parentShardIds" | "startingSequenceNumber">;

/** An end without a number proves nothing. */
function isBelow(checkpoint: Checkpoint, sequenceNumber: string): boolean {
  const { sequenceNumber: at } = checkpoint as { readonly sequenceNumber?: string };
  return at !== undefined && compareSequenceNumbers(at, sequenceNumber) < 0;
}

/** What is known of the shard; see `ShardAssignment`. */
export interface ShardHistory {
  readonly checkpoint: Checkpoint | undefined;
  readonly presentAtStart: boolean;
  readonly afterParent: boolean;
  /** Nobody has held it before: at its second grant LATEST would jump over what came meanwhile. */
  readonly firstGrant: boolean;
}

/**
 * Where the reading of a shard begins, pure. In this order:
 * - after its checkpoint;
 * - a shard that appeared while we were reading: at its first record, whatever `start` says;
 * - an application that came over from the Go library: children at their first record, since Go
 *   kept no row that would say when it started;
 * - the application's first start: at `start`. A shard that had to wait for its parents, or was
 *   held before, takes the time of the start for LATEST, so that nothing falls into the wait;
 * - a later start: what came since the first one. LATEST has become a time, and for a shard that
 *   was made after that time it means its first record.
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
 * Where to begin again when an iterator was lost before it brought a record. LATEST once more would
 * jump over what came meanwhile.
 */
export function restartPosition(start: IteratorPosition, row: ApplicationRow): IteratorPosition {
  return start.ShardIteratorType === "LATEST" ? sinceFirstStart(row) : start;
}

/** A checkpoint inside an aggregate begins with that aggregate again, to drop what was done. */
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
