import {
  compareCheckpoints,
  LeaseLostError,
  StoreError,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import type { PostgresRows } from "./driver.ts";
import { metLock } from "./errors.ts";
import { LockedShards } from "./locked-shards.ts";
import { checkpointOf } from "./rows.ts";
import * as sql from "./statements.ts";

/** The rows of checkpoints. `Store` documents each method. */
export class Checkpoints {
  readonly #calls: Calls;
  /** A bulk write that includes one of these shards first checks which rows are locked. */
  readonly #maybeLocked = new LockedShards();

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async get(
    scope: StoreScope,
    shardId: string,
    options: CallOptions | undefined,
  ): Promise<Checkpoint | undefined> {
    const [rows] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.readCheckpoint(place, shardId),
    );
    const [row] = rows!;
    return row && checkpointOf(row);
  }

  async all(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    const [rows] = await this.#calls.runClaimed(scope, options, sql.readCheckpoints);
    return byShard(rows!);
  }

  async set(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const checksLocks = writes.length > 1 && this.#maybeLocked.hasSome(scope, writes);
    try {
      if (checksLocks) return await this.#skipLocked(scope, writes, options);
      return await this.#advance(scope, writes, options);
    } catch (error) {
      if (metLock(error)) this.#maybeLocked.add(scope, writes);
      throw error;
    }
  }

  async reset(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options: (CallOptions & { readonly force?: boolean }) | undefined,
  ): Promise<void> {
    const [, lease, done] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.reset(place, shardId, to, options?.force === true),
    );
    if (done!.length > 0) return;
    const owner = String(lease![0]?.["owner"]);
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }

  async #advance(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const [, done, storedRows] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.advance(place, writes),
    );
    this.#maybeLocked.delete(scope, writes);
    const shards = (what: string): ReadonlySet<string | null | undefined> =>
      new Set(done!.filter((row) => row["what"] === what).map((row) => row["shard_id"]));
    const [held, moved] = [shards("held"), shards("moved")];
    const stored = byShard(storedRows!.filter((row) => held.has(row["shard_id"])));
    return writes.map(({ shardId, checkpoint }) => {
      const storedCheckpoint = stored.get(shardId);
      if (storedCheckpoint === undefined) return { outcome: "lease-lost" };
      if (moved.has(shardId)) return { outcome: "written", stored: checkpoint };
      const order = compareCheckpoints(checkpoint, storedCheckpoint);
      if (order > 0) throw this.#calls.refusedByTrigger(shardId);
      return { outcome: order === 0 ? "same" : "behind", stored: storedCheckpoint };
    });
  }

  /**
   * Two round trips. Writes of locked rows fail immediately, so that the others do not wait for them. Shards without
   * a row take a third one: another transaction may have inserted a row, which is invisible until it commits.
   */
  async #skipLocked(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const shardIds = writes.map(({ shardId }) => shardId);
    const [rows] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.readRowStates(place, shardIds),
    );
    const states = new Map(rows!.map((row) => [row["shard_id"], row["state"]]));
    const of = (state: sql.RowState): readonly CheckpointWrite[] =>
      writes.filter(({ shardId }) => states.get(shardId) === state);
    const results = new Map<string, BulkCheckpointResult>();
    const keep = (
      some: readonly CheckpointWrite[],
      answers: readonly BulkCheckpointResult[],
    ): void => some.forEach(({ shardId }, i) => results.set(shardId, answers[i]!));
    const fail = (some: readonly CheckpointWrite[]): void => {
      this.#maybeLocked.add(scope, some);
      keep(
        some,
        some.map(({ shardId }) => ({ outcome: "failed", error: this.#locked(shardId) })),
      );
    };
    fail(of("locked"));
    keep(of("free"), await this.#advance(scope, of("free"), options));
    const absent = of("absent");
    try {
      if (absent.length > 0) keep(absent, await this.#advance(scope, absent, options));
    } catch (error) {
      if (!metLock(error)) throw error;
      fail(absent);
    }
    return shardIds.map((shardId) => results.get(shardId)!);
  }

  #locked(shardId: string): StoreError {
    return new StoreError(
      "STORE_UNAVAILABLE",
      `${this.#calls.connection.where}: another transaction has locked the row of ${shardId}, or of ` +
        `its lease. It will be written once that transaction has ended`,
      { retryable: true, shardId },
    );
  }
}

function byShard(rows: PostgresRows): ReadonlyMap<string, Checkpoint> {
  return new Map(rows.map((row) => [String(row["shard_id"]), checkpointOf(row)]));
}
