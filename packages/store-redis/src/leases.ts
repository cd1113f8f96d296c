import { randomUUID } from "node:crypto";
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
import type { Applications } from "./applications.ts";
import type { Calls } from "./calls.ts";
import * as lua from "./lease-statements.ts";
import { REMOVAL_TTL_S } from "./application-memory.ts";
import { pairsOf, textsOf } from "./replies.ts";
import type { ShardReply } from "./rows.ts";
import type { Workers } from "./workers.ts";

/**
 * Leases of shards. `LeaseStore` documents each method. In a cluster, the group and each shard have slots of their own,
 * so a claim takes four steps: read the shards' states; read which of them have rows; read the live workers; then claim
 * each free shard by a compare-and-set on its state of the first step. An owner that was read first and has no row
 * afterwards is dead for ever. If another worker claimed in between, the epoch has changed.
 */
export class Leases {
  readonly #calls: Calls;
  readonly #applications: Applications;
  readonly #workers: Workers;

  constructor(calls: Calls, applications: Applications, workers: Workers) {
    this.#calls = calls;
    this.#applications = applications;
    this.#workers = workers;
  }

  async put(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const args = shards.flatMap(({ shardId, lineage, replaces }) => [
      shardId,
      lineage,
      replaces === undefined ? "" : `=${replaces}`,
    ]);
    if (args.length === 0) return;
    await this.#calls.group(this.#calls.memoryOf(scope), lua.PUT_LINEAGES, args, options);
  }

  /** The revision is read before the shards, since it must not be newer. */
  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listLeases"]> {
    const memory = this.#calls.memoryOf(scope);
    const [revision, ...fields] = await this.#calls.group(memory, lua.READ_LINEAGES, [], options);
    const lineages = pairsOf(fields);
    memory.forgetRemoved(lineages);
    const shardIds = [...lineages.keys()];
    const shards = await this.#calls.readShards(memory, shardIds, options);
    const leases = shards.map(({ owner, epoch, gone, checkpoint }, index): LeaseRow => {
      const shardId = shardIds[index]!;
      const lineage = lineages.get(shardId)!;
      return { shardId, owner, epoch: gone ? 0 : epoch, checkpoint, lineage };
    });
    return { revision: Number(revision), leases };
  }

  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    wanted: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    if (wanted.length === 0) return [];
    const memory = this.#calls.memoryOf(scope);
    const read = await this.#calls.readShards(memory, wanted, options);
    // Read after the shards: if a shard was removed by then and is not marked as being removed now, the removal has
    // deleted its row, and an existing row is a new one.
    const rows = await this.#calls.group(memory, lua.HAVE_LINEAGES, wanted, options);
    const isThere = (index: number): boolean =>
      rows[index] === "1" || (rows[index] === "removing" && !read[index]!.gone);
    const shardIds = wanted.filter((_, index) => isThere(index));
    const states = read.filter((_, index) => isThere(index));
    const liveOwners = await this.#liveOwners(scope, options);
    const owner = ownerOf(worker);
    if (!liveOwners.has(owner)) return [];
    const free = [...states.entries()].filter(([, shard]) => isFree(shard, liveOwners));
    const claimedIds = free.map(([index]) => shardIds[index]!);
    const claims = free.map(([index, shard]) => ({
      keys: memory.keys.shard(shardIds[index]!),
      args: [String(shard.epoch), shard.owner ?? "", owner],
    }));
    const replies = await this.#calls.change(memory, lua.ACQUIRE_LEASE, claims, options);
    const claimed = this.#calls.learn(memory, claimedIds, replies);
    const after = [...states];
    for (const [n, shard] of claimed.entries()) after[free[n]![0]] = shard;
    if (replies.length > 0) await this.#calls.raiseRevision(memory, "", options);
    return after.flatMap((shard, index): AcquiredLease[] => {
      if (shard.owner !== owner) return [];
      const fence = { epoch: shard.epoch, owner };
      return [{ shardId: shardIds[index]!, fence, checkpoint: shard.checkpoint }];
    });
  }

  async release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const memory = this.#calls.memoryOf(scope);
    const releases = leases.map(({ shardId, fence: { epoch, owner } }) => ({
      keys: memory.keys.shard(shardId),
      args: [String(epoch), owner],
    }));
    const replies = await this.#calls.change(memory, lua.RELEASE_LEASE, releases, options);
    const released = leases
      .filter((_, index) => textsOf(replies[index])[0] === "released")
      .map(({ shardId }) => shardId);
    if (released.length > 0) await this.#calls.raiseRevision(memory, "1", options);
    return released;
  }

  /**
   * A removal first marks the leases' rows with its name. So no worker claims a removed shard until its row is deleted
   * too, and a removal that was delayed does not delete a row that was created after another removal.
   */
  async remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    if (shardIds.length === 0) return;
    const memory = this.#calls.memoryOf(scope);
    const name = randomUUID();
    await this.#applications.noteRemoval(memory, name, shardIds, options);
    await this.#calls.group(memory, lua.NOTE_REMOVAL, [name, ...shardIds], options);
    const states = await this.#calls.readShards(memory, shardIds, options);
    const liveOwners = await this.#liveOwners(scope, options);
    const free = [...states.entries()].filter(([, shard]) => isFree(shard, liveOwners));
    const removals = free.map(([index, { epoch, owner }]) => ({
      keys: memory.keys.shard(shardIds[index]!),
      args: [String(epoch), owner ?? "", String(REMOVAL_TTL_S), name],
    }));
    const replies = await this.#calls.change(memory, lua.REMOVE_SHARD, removals, options);
    const removed = free
      .filter((_, n) => textsOf(replies[n])[0] === "removed")
      .map(([index]) => shardIds[index]!);
    const gone = new Set(removed);
    const ends = shardIds.flatMap((shardId) => [shardId, gone.has(shardId) ? "1" : ""]);
    await this.#calls.group(memory, lua.END_REMOVAL, [name, ...ends], options);
    await this.#applications.unlist(memory, name, removed, options);
  }

  async #liveOwners(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlySet<string>> {
    const { workers } = await this.#workers.list(scope, options);
    return new Set(workers.map(ownerOf));
  }
}

function isFree({ owner }: ShardReply, liveOwners: ReadonlySet<string>): boolean {
  return owner === undefined || !liveOwners.has(owner);
}
