import {
  ownerOf,
  type AcquiredLease,
  type CallOptions,
  type Fence,
  type LeaseRow,
  type LeaseStore,
  type ShardPut,
  type StoreScope,
  type WorkerIdentity,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import * as sql from "./lease-statements.ts";
import { raiseRevision, readRevision } from "./revision.ts";
import { checkpointOf, keyOf, leaseOf } from "./rows.ts";
import { READ_SHARDS } from "./statements.ts";

/** Leases of shards. `LeaseStore` documents each method. */
export class Leases {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  put(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const unseen = shards.filter(({ replaces }) => replaces === undefined);
    const seen = shards.filter(({ replaces }) => replaces !== undefined);
    const rows = (puts: readonly ShardPut[]): string =>
      JSON.stringify(puts.map(({ shardId, lineage, replaces }) => [shardId, lineage, replaces]));
    return this.#calls.change(scope, options, (session) => {
      let changes = 0;
      if (unseen.length > 0) {
        changes += session.query(sql.CREATE_LEASES, [...keyOf(scope), rows(unseen)]).length;
      }
      if (seen.length > 0) {
        changes += session.query(sql.REPLACE_LINEAGES, [rows(seen), ...keyOf(scope)]).length;
      }
      if (changes > 0) raiseRevision(session, scope);
    });
  }

  /** The revision is read first, since it must not be newer than the rows. */
  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listLeases"]> {
    return this.#calls.run(scope, options, (session) => {
      const revision = readRevision(session, scope);
      const leases = session.query(sql.READ_LEASES, keyOf(scope)).map((row): LeaseRow => {
        const checkpoint = checkpointOf(row);
        const [shardId, lineage] = [String(row["shard_id"]), String(row["lineage"])];
        return { shardId, ...leaseOf(row), checkpoint, lineage };
      });
      return { revision, leases };
    });
  }

  acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const key = keyOf(scope);
    const owner = ownerOf(worker);
    const ids = JSON.stringify(shardIds);
    return this.#calls.change(scope, options, (session) => {
      const [existing] = session.query(sql.READ_WORKER, [...key, worker.workerId]);
      if (existing?.["incarnation"] !== worker.incarnation) return [];
      const claimed = session.query(sql.ACQUIRE_LEASES, [owner, ...key, ids]);
      if (claimed.length > 0) raiseRevision(session, scope);
      return session
        .query(READ_SHARDS, [...key, ids])
        .filter((row) => row["owner"] === owner)
        .map((row) => ({
          shardId: String(row["shard_id"]),
          fence: { epoch: leaseOf(row).epoch, owner },
          checkpoint: checkpointOf(row),
        }));
    });
  }

  release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const held = leases.map(({ shardId, fence: { epoch, owner } }) => [shardId, epoch, owner]);
    return this.#calls.change(scope, options, (session) => {
      const released = session.query(sql.RELEASE_LEASES, [JSON.stringify(held), ...keyOf(scope)]);
      if (released.length > 0) raiseRevision(session, scope);
      return released.map((row) => String(row["shard_id"]));
    });
  }

  remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    return this.#calls.change(scope, options, (session) => {
      const values = [...keyOf(scope), JSON.stringify(shardIds)];
      const removed = session.query(sql.REMOVE_SHARDS, values);
      if (removed.length > 0) raiseRevision(session, scope);
    });
  }
}
