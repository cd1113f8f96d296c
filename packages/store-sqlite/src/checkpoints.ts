import {
  LeaseLostError,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { writeOutcome } from "@kc/core/adapter";
import type { Calls } from "./calls.ts";
import type { Session, SqliteRow } from "./driver.ts";
import { raiseRevision } from "./revision.ts";
import { checkpointOf, checkpointValues, keyOf, leaseOf } from "./rows.ts";
import * as sql from "./statements.ts";

/** The rows of shards. `Store` documents each method. */
export class Checkpoints {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  get(
    scope: StoreScope,
    shardId: string,
    options: CallOptions | undefined,
  ): Promise<Checkpoint | undefined> {
    return this.#calls.run(scope, options, (session) =>
      checkpointOf(readShards(session, scope, [shardId]).get(shardId)),
    );
  }

  all(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#calls.run(scope, options, (session) => {
      const checkpoints = new Map<string, Checkpoint>();
      for (const row of session.query(sql.READ_CHECKPOINTS, keyOf(scope))) {
        const checkpoint = checkpointOf(row);
        if (checkpoint !== undefined) checkpoints.set(String(row["shard_id"]), checkpoint);
      }
      return checkpoints;
    });
  }

  /** All writes in one transaction, which waits for the disk and for the lock once. */
  set(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const shardIds = writes.map(({ shardId }) => shardId);
    return this.#calls.change(scope, options, (session) => {
      const rows = readShards(session, scope, shardIds);
      const results = writes.map((write) => {
        const row = rows.get(write.shardId);
        return writeOutcome(write, leaseOf(row), checkpointOf(row));
      });
      const moved = writes.filter((_, index) => results[index]!.outcome === "written");
      if (moved.length > 0) writeCheckpoints(session, scope, moved);
      return results;
    });
  }

  reset(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options: (CallOptions & { readonly force?: boolean }) | undefined,
  ): Promise<void> {
    const values = [...keyOf(scope), shardId, ...checkpointValues(to)];
    return this.#calls.change(scope, options, (session) => {
      const { owner } = leaseOf(readShards(session, scope, [shardId]).get(shardId));
      if (owner !== undefined && options?.force !== true) {
        throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
      }
      session.query(sql.RESET_CHECKPOINT, values);
      raiseRevision(session, scope);
    });
  }
}

/** The rows of shards, each with checkpoint and lease, by shard id. */
export function readShards(
  session: Session,
  scope: StoreScope,
  shardIds: readonly string[],
): ReadonlyMap<string, SqliteRow> {
  const rows = session.query(sql.READ_SHARDS, [...keyOf(scope), JSON.stringify(shardIds)]);
  return new Map(rows.map((row) => [String(row["shard_id"]), row]));
}

/** Writes checkpoints without a comparison. Run in the write transaction that has read and compared the rows. */
export function writeCheckpoints(
  session: Session,
  scope: StoreScope,
  writes: readonly CheckpointWrite[],
): void {
  const rows = writes.map(({ shardId, checkpoint }) => [shardId, ...checkpointValues(checkpoint)]);
  session.query(sql.ADVANCE_CHECKPOINTS, [...keyOf(scope), JSON.stringify(rows)]);
}
