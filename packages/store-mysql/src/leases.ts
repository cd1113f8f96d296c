import {
  ownerOf,
  type AcquiredLease,
  type CallOptions,
  type Fence,
  type LeaseStore,
  type ShardLineage,
  type StoreScope,
  type WorkerIdentity,
} from "@kc/core";
import { inParts, type Calls } from "./calls.ts";
import type { Session, TransactionOptions } from "./database.ts";
import * as sql from "./lease-statements.ts";
import { checkWorker } from "./names.ts";
import { checkPlace, checkpointsOf, leasesOf, revisionOf, workersOf } from "./rows.ts";
import { deleteCheckpoints, lockShards } from "./statements.ts";

/** Who lives is read without a lock: an eviction that is undecided has not happened. */
const ISOLATED: TransactionOptions = { isolated: true };

/**
 * Leases of shards: `LeaseStore` says what each call does. Shards come in parts, each a transaction
 * that locks their rows, looks at the workers only then (whoever holds one of these leases joined
 * before), and raises the revision last.
 */
export class Leases {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async put(
    scope: StoreScope,
    shards: readonly ShardLineage[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const { tables } = this.#calls;
    const once = [...new Map(shards.map((shard) => [shard.shardId, shard])).values()];
    for (const part of inParts(await this.#changed(scope, once, options))) {
      const shardIds = part.map(({ shardId }) => shardId);
      await this.#calls.run(scope, part, options, (session, namespace) =>
        session.transaction(async () => {
          await session.query(lockShards(tables, namespace, shardIds));
          await session.query(sql.putShards(tables, namespace, part));
          await session.query(sql.raiseRevision(tables, namespace));
        }),
      );
    }
  }

  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listLeases"]> {
    return this.#calls.run(scope, [], options, async (session, namespace) => {
      const rows = await session.query(sql.readLeases(this.#calls.tables, namespace));
      checkPlace(rows, scope, namespace);
      const leases = leasesOf(rows);
      // A join would compare Go's column with ours, and no key helps where their collations differ.
      const found = checkpointsOf(await this.#calls.readCheckpoints(session, scope, namespace));
      return {
        revision: revisionOf(rows),
        leases: leases.map((lease) => ({
          ...lease,
          checkpoint: found.get(lease.shardId)?.checkpoint,
        })),
      };
    });
  }

  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const { tables } = this.#calls;
    const owner = ownerOf(worker);
    const acquired: AcquiredLease[] = [];
    for (const part of inParts(named(shardIds))) {
      const got = await this.#locked(
        scope,
        part,
        options,
        async (session, namespace, leases) => {
          checkWorker(worker);
          const alive = await this.#alive(session, scope, namespace);
          if (!alive.has(owner)) return [];
          const rows = leases.filter((lease) => lease.owner === owner || isFree(lease, alive));
          const free = idsOf(rows.filter((lease) => lease.owner !== owner));
          if (rows.length === 0) return [];
          const stored = checkpointsOf(
            await this.#calls.readCheckpoints(session, scope, namespace, idsOf(rows)),
          );
          if (free.length > 0) {
            await session.query(sql.takeLeases(tables, namespace, free, owner));
            await session.query(sql.raiseRevision(tables, namespace));
          }
          return rows.map(({ shardId, epoch, owner: before }) => ({
            shardId,
            fence: { epoch: before === owner ? epoch : epoch + 1, owner },
            checkpoint: stored.get(shardId)?.checkpoint,
          }));
        },
        ISOLATED,
      );
      acquired.push(...got);
    }
    return acquired;
  }

  async release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const { tables } = this.#calls;
    const released: string[] = [];
    for (const part of inParts(leases)) {
      const back = await this.#locked(scope, part, options, async (session, namespace, rows) => {
        const standing = new Map(rows.map((row) => [row.shardId, row]));
        const own = part.filter(({ shardId, fence: { epoch, owner } }) => {
          const row = standing.get(shardId);
          return row?.owner === owner && row.epoch === epoch;
        });
        const shardIds = [...new Set(idsOf(own))];
        if (shardIds.length === 0) return [];
        await session.query(sql.freeLeases(tables, namespace, shardIds));
        await session.query(sql.raiseRevision(tables, namespace));
        return shardIds;
      });
      released.push(...back);
    }
    return released;
  }

  async remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const { tables } = this.#calls;
    for (const part of inParts(named(shardIds))) {
      const work: Parameters<Calls["locked"]>[3] = async (session, namespace, leases) => {
        const alive = await this.#alive(session, scope, namespace);
        const free = [...leases].filter(([, lease]) => isFree(lease, alive)).map(([id]) => id);
        if (free.length === 0) return;
        await session.query(sql.deleteLeases(tables, namespace, free));
        await session.query(deleteCheckpoints(tables, namespace, free));
        await session.query(sql.raiseRevision(tables, namespace));
      };
      // A checkpoint without a lease's row gets one first, so that there is something to lock.
      await this.#calls.locked(scope, part, options, work, ISOLATED);
    }
  }

  /** Those that have no row, or another lineage. Mostly none: then nothing is locked. */
  #changed(
    scope: StoreScope,
    shards: readonly ShardLineage[],
    options: CallOptions | undefined,
  ): Promise<readonly ShardLineage[]> {
    return this.#calls.run(scope, shards, options, async (session, namespace) => {
      const rows = await session.query(sql.readLeases(this.#calls.tables, namespace));
      checkPlace(rows, scope, namespace);
      const lineages = new Map(leasesOf(rows).map(({ shardId, lineage }) => [shardId, lineage]));
      return shards.filter(({ shardId, lineage }) => lineages.get(shardId) !== lineage);
    });
  }

  /** Runs `work` in a transaction that holds the locks of those shards that have leases. */
  #locked<Answer>(
    scope: StoreScope,
    shards: readonly { readonly shardId: string }[],
    options: CallOptions | undefined,
    work: (
      session: Session,
      namespace: string,
      leases: ReturnType<typeof leasesOf>,
    ) => Promise<Answer>,
    transaction?: TransactionOptions,
  ): Promise<Answer> {
    const { tables } = this.#calls;
    return this.#calls.run(scope, shards, options, (session, namespace) =>
      session.transaction(async () => {
        const locked = await session.query(lockShards(tables, namespace, idsOf(shards)));
        return work(session, namespace, leasesOf(locked));
      }, transaction),
    );
  }

  /** The owners whose workers have rows. */
  async #alive(
    session: Session,
    scope: StoreScope,
    namespace: string,
  ): Promise<ReadonlySet<string>> {
    const rows = await session.query(sql.readGroup(this.#calls.tables, namespace));
    checkPlace(rows, scope, namespace);
    return new Set(workersOf(rows).map(ownerOf));
  }
}

const idsOf = (rows: readonly { readonly shardId: string }[]): readonly string[] =>
  rows.map(({ shardId }) => shardId);

const named = (shardIds: readonly string[]): readonly { readonly shardId: string }[] =>
  [...new Set(shardIds)].map((shardId) => ({ shardId }));

function isFree(
  { owner }: { readonly owner: string | undefined },
  alive: ReadonlySet<string>,
): boolean {
  return owner === undefined || !alive.has(owner);
}
