import type { GetItemCommandOutput } from "@aws-sdk/client-dynamodb";
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
import * as statements from "./lease-statements.ts";
import { inParallel } from "./parallel.ts";
import type { PartitionMemory } from "./partition-memory.ts";
import { shardStateOf, sortKeyOf, type Item } from "./rows.ts";
import { leaseSortKey, OWN_PREFIX, readItem, readPage, readRange } from "./statements.ts";
import type { Workers } from "./workers.ts";

/** Up to this many items are read by concurrent GetItems. For more, one query is faster. */
const MAX_SINGLE_READS = 16;

/**
 * Leases of shards. `LeaseStore` documents each method. No transaction spans all leases, so a claim takes three steps:
 * read the leases; read the live workers; then claim each free lease by a compare-and-set on what was read. An owner
 * that was read first and has no row afterwards is dead for ever.
 */
export class Leases {
  readonly #calls: Calls;
  readonly #workers: Workers;

  constructor(calls: Calls, workers: Workers) {
    this.#calls = calls;
    this.#workers = workers;
  }

  async put(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    const { partition } = memory;
    await this.#each(memory, options, shards, (shard) => statements.putLineage(partition, shard));
  }

  /** In the order of sort keys, the revision's item comes before the leases', and these before the shards'. */
  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listLeases"]> {
    const memory = this.#calls.memoryOf(scope);
    let revision = 0;
    const rows = new Map<string, Item>();
    const shards = new Map<string, Item>();
    const items = await this.#calls.pages((after) => readPage(memory.partition, after), options);
    for (const item of items) {
      const key = sortKeyOf(item);
      if (key === statements.GROUP) revision = this.#calls.learnRevision(memory, item);
      else if (key.startsWith(statements.LEASE_PREFIX)) rows.set(shardIdOf(item), item);
      else if (!key.startsWith(OWN_PREFIX)) shards.set(key, item);
    }
    const leases = [...rows].flatMap(([shardId, item]): LeaseRow[] => {
      const lineage = item["kc_lineage"]?.S;
      if (lineage === undefined) return [];
      const { checkpoint } = shardStateOf(shards.get(shardId));
      return [{ ...leaseOf(item), checkpoint, lineage }];
    });
    return { revision, leases };
  }

  async acquire(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly AcquiredLease[]> {
    const memory = this.#calls.memoryOf(scope);
    const { leases, isFree, liveOwners } = await this.#read(scope, shardIds, options);
    const owner = ownerOf(worker);
    if (!liveOwners.has(owner)) return [];
    const own = leases.filter((lease) => lease.owner === owner);
    const claimed = await this.#each(
      memory,
      options,
      leases.filter(isFree),
      (lease) => statements.acquireLease(memory.partition, lease, owner),
      // The claim of an earlier, abandoned call took effect only now: the worker holds the shard.
      (lease, item) => {
        const { epoch, owner: holder } = leaseOf(item);
        return holder === owner && epoch === lease.epoch + 1;
      },
    );
    const held = [...own, ...claimed.map((lease) => ({ ...lease, epoch: lease.epoch + 1 }))];
    const heldIds = held.map(({ shardId }) => shardId);
    const items = await this.#items(memory, heldIds, options);
    return held.map(({ shardId, epoch }): AcquiredLease => {
      const { checkpoint } = shardStateOf(items.get(shardId));
      return { shardId, fence: { epoch, owner }, checkpoint };
    });
  }

  async release(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const memory = this.#calls.memoryOf(scope);
    const released = await this.#each(memory, options, leases, ({ shardId, fence }) =>
      statements.releaseLease(memory.partition, { shardId, ...fence }),
    );
    return released.map(({ shardId }) => shardId);
  }

  async remove(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    const { leases, isFree } = await this.#read(scope, shardIds, options);
    const known = new Set(leases.map(({ shardId }) => shardId));
    const unleased = shardIds
      .filter((shardId) => !known.has(shardId))
      .map((shardId) => ({ shardId, epoch: 0, owner: undefined }));
    await this.#each(memory, options, [...leases.filter(isFree), ...unleased], (lease) =>
      statements.removeShard(memory.partition, lease),
    );
  }

  /** Reads the leases first, then the workers: an owner that has no row then is dead. */
  async #read(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<{
    readonly leases: readonly statements.ReadLease[];
    readonly liveOwners: ReadonlySet<string>;
    readonly isFree: (lease: statements.ReadLease) => boolean;
  }> {
    const memory = this.#calls.memoryOf(scope);
    const items = await this.#items(memory, shardIds.map(leaseSortKey), options);
    const leases = [...items.values()].map(leaseOf);
    const { workers } = await this.#workers.list(scope, options);
    const liveOwners = new Set(workers.map(ownerOf));
    return {
      leases,
      liveOwners,
      isFree: ({ owner }) => owner === undefined || !liveOwners.has(owner),
    };
  }

  /**
   * Sends a conditional request for each value, several concurrently, and returns those that were not refused. It raises
   * the revision for these even if others failed.
   * @param isDone whether the item of a refused request shows that it had taken effect before
   */
  async #each<Value>(
    memory: PartitionMemory,
    options: CallOptions | undefined,
    values: readonly Value[],
    request: (value: Value) => object,
    isDone: (value: Value, item: Item) => boolean = () => false,
  ): Promise<readonly Value[]> {
    const { answers, failure } = await inParallel(
      values,
      this.#calls.client.concurrency,
      options,
      async (value, own) => {
        const refusals = await this.#calls.change(memory, request(value), own);
        return refusals === undefined || isDone(value, refusals[0]?.item ?? {});
      },
    );
    const done = values.filter((value) => answers.get(value) === true);
    if (done.length > 0) memory.hasPendingRevision = true;
    options?.signal?.throwIfAborted();
    if (done.length > 0) await this.#calls.raiseRevision(memory, options);
    if (failure === undefined) return done;
    memory.hasPendingRevision = true;
    throw failure.error;
  }

  /** Reads the existing items, by sort key. */
  async #items(
    { partition }: PartitionMemory,
    sortKeys: readonly string[],
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Item>> {
    const { client } = this.#calls;
    if (sortKeys.length > MAX_SINGLE_READS) {
      const sorted = sortKeys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const range = [sorted[0]!, sorted.at(-1)!] as const;
      const wanted = new Set(sortKeys);
      const items = await this.#calls.pages((after) => readRange(partition, range, after), options);
      return new Map(
        items.map((item) => [sortKeyOf(item), item] as const).filter(([key]) => wanted.has(key)),
      );
    }
    const { answers, failure } = await inParallel(
      sortKeys,
      client.concurrency,
      options,
      async (sortKey, own) => {
        const read = readItem(partition, sortKey);
        return (await client.read<GetItemCommandOutput>(read, own)).Item;
      },
    );
    if (failure !== undefined) throw failure.error;
    const items = [...answers].flatMap(([sortKey, item]) =>
      item === undefined ? [] : [[sortKey, item] as const],
    );
    return new Map(items);
  }
}

function shardIdOf(item: Item): string {
  return sortKeyOf(item).slice(statements.LEASE_PREFIX.length);
}

function leaseOf(item: Item): statements.ReadLease {
  return {
    shardId: shardIdOf(item),
    epoch: Number(item["kc_epoch"]?.N ?? 0),
    owner: item["kc_owner"]?.S,
  };
}
