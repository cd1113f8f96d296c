import {
  LeaseLostError,
  type BulkCheckpointResult,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { writeOutcome } from "@kc/core/adapter";
import type { Session, SqliteRow } from "./database.ts";
import { SqliteLeases } from "./leases.ts";
import { checkpointOf, checkpointValues, leaseOf } from "./rows.ts";
import * as sql from "./statements.ts";

/** The rows of shards, by shard id: checkpoint and lease. */
export function readShards(
  session: Session,
  { application, streamName }: StoreScope,
  shardIds: readonly string[],
): ReadonlyMap<string, SqliteRow> {
  const values = [application, streamName, JSON.stringify(shardIds)];
  const rows = session.query(sql.READ_SHARDS, values);
  return new Map(rows.map((row) => [String(row["shard_id"]), row]));
}

/** All checkpoints of a scope, by shard id. */
export function readCheckpoints(
  session: Session,
  { application, streamName }: StoreScope,
): ReadonlyMap<string, Checkpoint> {
  const checkpoints = new Map<string, Checkpoint>();
  for (const row of session.query(sql.READ_CHECKPOINTS, [application, streamName])) {
    const checkpoint = checkpointOf(row);
    if (checkpoint !== undefined) checkpoints.set(String(row["shard_id"]), checkpoint);
  }
  return checkpoints;
}

/** Within a write transaction, so that nothing moves between the look and the write. */
export function advanceCheckpoints(
  session: Session,
  scope: StoreScope,
  writes: readonly CheckpointWrite[],
): readonly BulkCheckpointResult[] {
  const shardIds = writes.map(({ shardId }) => shardId);
  const rows = readShards(session, scope, shardIds);
  const results = writes.map((write) => {
    const row = rows.get(write.shardId);
    return writeOutcome(write, leaseOf(row), checkpointOf(row));
  });
  const moved = writes.filter((_, index) => results[index]!.outcome === "written");
  if (moved.length > 0) writeCheckpoints(session, scope, moved);
  return results;
}

/** Whatever is stored: within a write transaction in which that was looked at. */
export function writeCheckpoints(
  session: Session,
  { application, streamName }: StoreScope,
  writes: readonly CheckpointWrite[],
): void {
  const rows = writes.map(({ shardId, checkpoint }) => [shardId, ...checkpointValues(checkpoint)]);
  session.query(sql.ADVANCE_CHECKPOINTS, [application, streamName, JSON.stringify(rows)]);
}

/**
 * Within a write transaction.
 * @throws LeaseLostError if a worker holds the shard, unless `force`
 */
export function resetCheckpoint(
  session: Session,
  scope: StoreScope,
  shardId: string,
  to: Checkpoint | undefined,
  force: boolean,
): void {
  const { owner } = leaseOf(readShards(session, scope, [shardId]).get(shardId));
  if (owner !== undefined && !force) {
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }
  const { application, streamName } = scope;
  session.query(sql.RESET_CHECKPOINT, [application, streamName, shardId, ...checkpointValues(to)]);
  new SqliteLeases(session, scope).changed();
}
