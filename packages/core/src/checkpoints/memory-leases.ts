import {
  ownerOf,
  type AcquiredLease,
  type LeaseRow,
  type LeaseStore,
  type ShardPut,
  type WorkerIdentity,
  type WorkerMembership,
  type WorkerRow,
} from "./lease-store.ts";
import type { MemoryApplication, MemoryShard } from "./memory-data.ts";
import type { Fence } from "./store.ts";

type Answer<Operation extends keyof LeaseStore> = LeaseStore[Operation] extends (
  ...parameters: never[]
) => Promise<infer Result>
  ? Result
  : never;

/** The leases and workers of one application in memory. Each operation is atomic. */
export class MemoryLeases {
  readonly #application: MemoryApplication;

  constructor(application: MemoryApplication) {
    this.#application = application;
  }

  join(worker: WorkerMembership): Answer<"joinWorker"> {
    const { workers, revision } = this.#application;
    const existing = workers.get(worker.workerId);
    if (existing?.incarnation === worker.incarnation) return { outcome: "joined", revision };
    if (existing) return { outcome: "duplicate", incarnation: existing.incarnation };
    const { workerId, incarnation, weight, maxShards } = worker;
    workers.set(workerId, { workerId, incarnation, weight, maxShards, counter: 0 });
    return { outcome: "joined", revision: this.#changed() };
  }

  heartbeat(worker: WorkerIdentity): Answer<"heartbeat"> {
    const { workers, revision } = this.#application;
    const row = this.#row(worker);
    if (row === undefined) return { outcome: "evicted" };
    const counter = row.counter + 1;
    workers.set(row.workerId, { ...row, counter });
    return { outcome: "alive", counter, revision };
  }

  listWorkers(): Answer<"listWorkers"> {
    const { workers, revision } = this.#application;
    return { revision, workers: [...workers.values()] };
  }

  evict(worker: WorkerIdentity & { readonly counter: number }): Answer<"evictWorker"> {
    const row = this.#row(worker);
    if (row === undefined) return "gone";
    if (row.counter !== worker.counter) return "moved";
    this.leave(worker);
    return "evicted";
  }

  leave(worker: WorkerIdentity): void {
    if (this.#row(worker) === undefined) return;
    this.#application.workers.delete(worker.workerId);
    this.#changed();
  }

  put(shards: readonly ShardPut[]): void {
    for (const { shardId, lineage, replaces } of shards) {
      if (this.#application.shards.get(shardId)?.lineage !== replaces) continue;
      const shard = this.#application.shard(shardId);
      shard.lineage = lineage;
      this.#changed();
    }
  }

  listLeases(): Answer<"listLeases"> {
    const { shards, revision } = this.#application;
    const leases: LeaseRow[] = [];
    for (const [shardId, { owner, epoch, checkpoint, lineage }] of shards) {
      if (lineage !== undefined) leases.push({ shardId, owner, epoch, checkpoint, lineage });
    }
    return { revision, leases };
  }

  acquire(worker: WorkerIdentity, shardIds: readonly string[]): readonly AcquiredLease[] {
    if (this.#row(worker) === undefined) return [];
    const owner = ownerOf(worker);
    const acquired: AcquiredLease[] = [];
    for (const shardId of shardIds) {
      const shard = this.#application.shards.get(shardId);
      if (shard?.lineage === undefined) continue;
      if (shard.owner !== owner) {
        if (!this.#isFree(shard)) continue;
        shard.owner = owner;
        shard.epoch += 1;
        this.#application.revision += 1;
      }
      const { epoch, checkpoint } = shard;
      acquired.push({ shardId, fence: { epoch, owner }, checkpoint });
    }
    return acquired;
  }

  release(leases: readonly { readonly shardId: string; readonly fence: Fence }[]): string[] {
    const released: string[] = [];
    for (const { shardId, fence } of leases) {
      const shard = this.#application.shards.get(shardId);
      if (shard?.owner !== fence.owner || shard.epoch !== fence.epoch) continue;
      shard.owner = undefined;
      released.push(shardId);
      this.#changed();
    }
    return released;
  }

  remove(shardIds: readonly string[]): void {
    const { shards } = this.#application;
    for (const shardId of shardIds) {
      const shard = shards.get(shardId);
      if (shard === undefined || !this.#isFree(shard)) continue;
      shards.delete(shardId);
      this.#changed();
    }
  }

  #row({ workerId, incarnation }: WorkerIdentity): WorkerRow | undefined {
    const row = this.#application.workers.get(workerId);
    return row?.incarnation === incarnation ? row : undefined;
  }

  #isFree({ owner }: MemoryShard): boolean {
    if (owner === undefined) return true;
    return ![...this.#application.workers.values()].some((row) => ownerOf(row) === owner);
  }

  #changed(): number {
    this.#application.revision += 1;
    for (const onHint of this.#application.watchers) onHint();
    return this.#application.revision;
  }
}
