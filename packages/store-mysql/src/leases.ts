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
import { inParts, type Call, type Calls } from "./calls.ts";
import { isDeadlock, isLock } from "./errors.ts";
import * as sql from "./lease-statements.ts";
import { lockedAmong } from "./locked-rows.ts";
import { leaseRows, type Snapshot } from "./snapshot.ts";
import { checkWorker } from "./name-checks.ts";

/**
 * Leases of shards. `LeaseStore` documents each method. Shards are processed in parts: for each part, a snapshot, and
 * a statement that changes the rows that are still as in the snapshot. If none is, another snapshot is taken.
 */
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
    for (const part of inParts(await this.#asSeen(scope, shards, options))) {
      await this.#calls.run(scope, part, options, async ({ place, change }) => {
        const unseen = part.filter(({ replaces }) => replaces === undefined);
        if (unseen.length > 0) await change(sql.createLeases(place, unseen));
        const seen = part.filter(replacesOne);
        if (seen.length > 0) await change(sql.replaceLineages(place, seen));
      });
    }
  }

  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listLeases"]> {
    return this.#calls.run(scope, [], options, async (call) => {
      const seen = await call.snapshot({ leases: "all", checkpoints: "all" });
      return { revision: seen.revision, leases: leaseRows(seen) };
    });
  }

  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const owner = ownerOf(worker);
    const acquired: AcquiredLease[] = [];
    for (const part of inParts(named(shardIds))) {
      const ids = idsOf(part);
      let meetsLock = false;
      const got = await this.#calls.run(scope, part, options, async (call) => {
        const { place, snapshot, change } = call;
        checkWorker(worker);
        for (;;) {
          const seen = await snapshot({
            workers: "all",
            leases: ids,
            ...(meetsLock && { checkpoints: ids }),
          });
          const liveOwners = liveOwnersIn(seen);
          if (!liveOwners.has(owner)) return [];
          const leases = leaseRows(seen);
          const free = leases.filter((lease) => isFree(lease, liveOwners));
          const none = free.length === 0 && !leases.some((lease) => lease.owner === owner);
          if (none) return [];
          // A row that another transaction locks for long is passed over.
          const open = meetsLock ? await unlocked(call, free, seen) : free;
          if (open.length > 0) {
            const claimed = await change(sql.acquireLeases(place, worker, owner, open)).catch(
              (error: unknown) => {
                meetsLock = isLock(error) && !isDeadlock(error);
                throw error;
              },
            );
            if (claimed === 0) continue;
          }
          // After the claim, so that it includes the last writes of the former owners.
          const after = await snapshot({ workers: worker, leases: ids, checkpoints: ids });
          if (after.workers.length === 0) return [];
          return leaseRows(after).filter((lease) => lease.owner === owner);
        }
      });
      for (const { shardId, epoch, checkpoint } of got) {
        acquired.push({ shardId, fence: { epoch, owner }, checkpoint });
      }
    }
    return acquired;
  }

  async release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const released: string[] = [];
    for (const part of inParts(leases)) {
      const ids = idsOf(part);
      const back = await this.#calls.run(scope, part, options, async (call) => {
        const { place, snapshot, change, markRevisionPending } = call;
        for (;;) {
          const { leases: existing } = await snapshot({ leases: ids });
          const held = part.flatMap(({ shardId, fence: { epoch, owner } }) => {
            const lease = existing.get(shardId);
            if (lease?.epoch !== epoch) return [];
            if (lease.owner === undefined) markRevisionPending(); // released before
            return lease.owner === owner ? [{ shardId, epoch, owner }] : [];
          });
          if (held.length === 0) return [];
          if ((await change(sql.releaseLeases(place, held))) > 0) return idsOf(held);
        }
      });
      released.push(...back);
    }
    return [...new Set(released)];
  }

  async remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    for (const part of inParts(named(shardIds))) {
      const ids = idsOf(part);
      await this.#calls.run(scope, part, options, async ({ session, place, snapshot, change }) => {
        for (;;) {
          const seen = await snapshot({ workers: "all", leases: ids, checkpoints: ids });
          // A checkpoint without a lease's row gets one first, so that there is a row to lock.
          const alone = ids.filter((id) => seen.stored.has(id) && !seen.leases.has(id));
          if (alone.length > 0) {
            await session.write(sql.addLeaseRows(place, alone));
            continue;
          }
          const liveOwners = liveOwnersIn(seen);
          const free = [...seen.leases].flatMap(([shardId, lease]) =>
            isFree(lease, liveOwners) ? [{ shardId, ...lease }] : [],
          );
          if (free.length === 0 || (await change(sql.removeShards(place, free))) > 0) return;
        }
      });
    }
  }

  /**
   * The shards whose rows are still as their caller saw them. Often there are none, and then nothing is locked. A row
   * that has the new lineage already may come from a delayed statement, or from a process that ended before it raised
   * the revision.
   */
  #asSeen(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options: CallOptions | undefined,
  ): Promise<readonly ShardPut[]> {
    return this.#calls.run(scope, shards, options, async ({ snapshot, markRevisionPending }) => {
      const { leases } = await snapshot({ leases: "all" });
      const lineageOf = (shardId: string): string | undefined => leases.get(shardId)?.lineage;
      const asSeen = shards.filter(({ shardId, replaces }) => lineageOf(shardId) === replaces);
      const isDone = ({ shardId, lineage, replaces }: ShardPut): boolean =>
        lineage !== replaces && lineageOf(shardId) === lineage;
      if (shards.some(isDone)) markRevisionPending();
      return asSeen;
    });
  }
}

/** The leases whose rows no other transaction has locked. */
async function unlocked(
  call: Call,
  leases: readonly LeaseRow[],
  seen: Snapshot,
): Promise<readonly LeaseRow[]> {
  const isLocked = await lockedAmong(call, idsOf(leases), seen);
  return leases.filter(({ shardId }) => !isLocked(shardId));
}

/** The owners whose workers' rows exist. */
const liveOwnersIn = ({ workers }: Snapshot): ReadonlySet<string> => new Set(workers.map(ownerOf));

const idsOf = (rows: readonly { readonly shardId: string }[]): readonly string[] =>
  rows.map(({ shardId }) => shardId);

const named = (shardIds: readonly string[]): readonly { readonly shardId: string }[] =>
  [...new Set(shardIds)].map((shardId) => ({ shardId }));

function isFree(
  { owner }: { readonly owner: string | undefined },
  liveOwners: ReadonlySet<string>,
): boolean {
  return owner === undefined || !liveOwners.has(owner);
}

function replacesOne(shard: ShardPut): shard is Required<ShardPut> {
  return shard.replaces !== undefined;
}
