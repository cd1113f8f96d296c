import { LeaseLostError, StoreError } from "../errors.ts";
import type { Checkpoint } from "./position.ts";
import type {
  ApplicationRow,
  BulkCheckpointResult,
  CallOptions,
  CheckpointWrite,
  SetCheckpointResult,
  Store,
  StoreCapabilities,
  StoreScope,
} from "./store.ts";
import { singleResult, writeOutcome } from "./write-outcome.ts";

/** One shard's row: the checkpoint and the lease stand together, as in every store. */
export interface MemoryShard {
  checkpoint: Checkpoint | undefined;
  /** 0 = never held. */
  epoch: number;
  /** Undefined = free. */
  owner: string | undefined;
}

/** What a MemoryStore keeps. Two stores on the same data are two processes on one database. */
export class MemoryStoreData {
  readonly applications: Map<string, ApplicationRow> = new Map();
  readonly #shards = new Map<string, Map<string, MemoryShard>>();

  /** The shards of an application, by id. */
  shards({ application, streamName }: StoreScope): Map<string, MemoryShard> {
    const key = JSON.stringify([application, streamName]);
    let shards = this.#shards.get(key);
    if (shards === undefined) this.#shards.set(key, (shards = new Map()));
    return shards;
  }

  /** A shard's row, made if it is not there. */
  shard(scope: StoreScope, shardId: string): MemoryShard {
    const shards = this.shards(scope);
    let shard = shards.get(shardId);
    if (shard === undefined) {
      shard = { checkpoint: undefined, epoch: 0, owner: undefined };
      shards.set(shardId, shard);
    }
    return shard;
  }
}

/**
 * Progress in this process's memory: for tests, and the reference of what a store must do. It is
 * gone with the process.
 */
export class MemoryStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
  };
  readonly #data: MemoryStoreData;
  #closed = false;

  constructor(options: { readonly data?: MemoryStoreData } = {}) {
    this.#data = options.data ?? new MemoryStoreData();
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    this.#enter(options);
    const { applications } = this.#data;
    const key = JSON.stringify([scope.application, scope.streamName]);
    const existing = applications.get(key);
    if (existing) return { outcome: "existing", row: structuredClone(existing) };
    applications.set(key, structuredClone(row));
    return { outcome: "created", row };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    this.#enter(options);
    return this.#data.shards(scope).get(shardId)?.checkpoint;
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    this.#enter(options);
    const checkpoints = new Map<string, Checkpoint>();
    for (const [shardId, { checkpoint }] of this.#data.shards(scope)) {
      if (checkpoint) checkpoints.set(shardId, checkpoint);
    }
    return checkpoints;
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    this.#enter(options);
    return singleResult(write, this.#write(scope, write));
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    this.#enter(options);
    return writes.map((write) => this.#write(scope, write));
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    this.#enter(options);
    const shard = this.#data.shard(scope, shardId);
    if (shard.owner !== undefined && !options?.force) {
      throw new LeaseLostError(shardId, `${shard.owner} holds it; stop it, or force the reset`);
    }
    shard.checkpoint = to && { ...to };
    shard.epoch += 1;
    shard.owner = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
  }

  #write(scope: StoreScope, write: CheckpointWrite): BulkCheckpointResult {
    const shard = this.#data.shard(scope, write.shardId);
    const result = writeOutcome(write, shard, shard.checkpoint);
    if (result.outcome === "written") shard.checkpoint = { ...write.checkpoint };
    return result;
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new StoreError("STORE_CLOSED", "the memory store was disposed");
    options?.signal?.throwIfAborted();
  }
}
