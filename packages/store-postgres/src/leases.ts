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
import { metLock } from "./errors.ts";
import * as sql from "./lease-statements.ts";
import { LockedShards, type Shard } from "./locked-shards.ts";
import { checkpointOf } from "./rows.ts";

/** Leases of shards; each call is one transaction. `LeaseStore` documents each method. */
export class Leases {
  readonly #calls: Calls;
  /** A claim does not wait for the locks of these. */
  readonly #maybeLocked = new LockedShards();

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

  /**
   * First claims what is not locked, so that one locked row delays no other shard's claim. Then waits for the locked
   * rows. Those that stay locked are passed over, and later claims do not wait for them until they have been claimed.
   */
  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const { acquired, passedOver } = await this.#claim(
      scope,
      worker,
      shardIds,
      "are skipped",
      options,
    );
    const met = passedOver.filter((shard) => !this.#maybeLocked.hasSome(scope, [shard]));
    if (met.length === 0) return acquired;
    try {
      const ids = met.map(({ shardId }) => shardId);
      const late = await this.#claim(scope, worker, ids, "are waited for", options);
      return [...acquired, ...late.acquired];
    } catch (error) {
      if (!metLock(error)) throw error;
      this.#maybeLocked.add(scope, met);
      return acquired;
    }
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

  async #claim(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    locks: "are waited for" | "are skipped",
    options: CallOptions | undefined,
  ): Promise<{
    readonly acquired: readonly AcquiredLease[];
    readonly passedOver: readonly Shard[];
  }> {
    const rows = await this.#calls.runClaimed(scope, options, (place) =>
      sql.acquireLeases(place, worker, shardIds, locks),
    );
    const [over, held] = rows.slice(-2);
    const acquired = held!.map(acquiredOf);
    this.#maybeLocked.delete(scope, acquired);
    // An earlier call of the same worker may have claimed a shard that this one passed over.
    const ids = new Set(acquired.map(({ shardId }) => shardId));
    const passedOver = over!.map((row) => ({ shardId: String(row["shard_id"]) }));
    return { acquired, passedOver: passedOver.filter(({ shardId }) => !ids.has(shardId)) };
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

function acquiredOf(row: PostgresRow): AcquiredLease {
  const { shardId, epoch, owner, checkpoint } = leaseOf(row);
  return { shardId, fence: { epoch, owner: owner! }, checkpoint };
}

/** The shard's checkpoint, if it has one. */
function storedIn(row: PostgresRow): Checkpoint | undefined {
  return typeof row["sequence_number"] === "string" ? checkpointOf(row) : undefined;
}
