import type {
  AcquiredLease,
  CallOptions,
  Checkpoint,
  Fence,
  LeaseRow,
  LeaseStore,
  ShardPut,
  StoreScope,
  WorkerIdentity,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import type { PostgresRow, PostgresRows } from "./driver.ts";
import * as sql from "./lease-statements.ts";
import { checkpointOf } from "./rows.ts";

/** Leases of shards; each call is one transaction. `LeaseStore` documents each method. */
export class Leases {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async put(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options: CallOptions | undefined,
  ): Promise<void> {
    await this.#calls.runClaimed(scope, options, (place) => sql.putShards(place, shards));
  }

  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listLeases"]> {
    const [revision, rows] = await this.#calls.runClaimed(scope, options, sql.listLeases);
    return { revision: revisionOf(revision!), leases: rows!.map(leaseOf) };
  }

  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const [, , rows] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.acquireLeases(place, worker, shardIds),
    );
    return rows!.map((row) => {
      const { shardId, epoch, owner, checkpoint } = leaseOf(row);
      return { shardId, fence: { epoch, owner: owner! }, checkpoint };
    });
  }

  async release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const [, rows] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.releaseLeases(place, leases),
    );
    return rows!.map((row) => String(row["shard_id"]));
  }

  async remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    await this.#calls.runClaimed(scope, options, (place) => sql.removeShards(place, shardIds));
  }
}

export function revisionOf([row]: PostgresRows): number {
  return Number(row?.["revision"] ?? 0);
}

function leaseOf(row: PostgresRow): LeaseRow {
  return {
    shardId: String(row["shard_id"]),
    owner: row["owner"] ?? undefined,
    epoch: Number(row["epoch"]),
    checkpoint: storedIn(row),
    lineage: String(row["lineage"]),
  };
}

/** The shard's checkpoint, if it has one. */
function storedIn(row: PostgresRow): Checkpoint | undefined {
  return typeof row["sequence_number"] === "string" ? checkpointOf(row) : undefined;
}
