import { StoreError } from "../errors.ts";
import { compareCheckpoints, type Checkpoint } from "./position.ts";
import type {
  ApplicationRow,
  CallOptions,
  CheckpointWrite,
  SetCheckpointResult,
  Store,
  StoreCapabilities,
  StoreScope,
} from "./store.ts";

/** What a MemoryStore keeps. Two stores on the same data are two processes on one database. */
export class MemoryStoreData {
  readonly checkpoints: Map<string, Map<string, Checkpoint>> = new Map();
  readonly applications: Map<string, ApplicationRow> = new Map();
}

/**
 * Progress in this process's memory: for tests, and the reference of what a store must do. It is
 * gone with the process.
 */
export class MemoryStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
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
    const existing = this.#data.applications.get(scopeKey(scope));
    if (existing) return { outcome: "existing", row: structuredClone(existing) };
    this.#data.applications.set(scopeKey(scope), structuredClone(row));
    return { outcome: "created", row };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    this.#enter(options);
    return this.#shards(scope).get(shardId);
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    this.#enter(options);
    return new Map(this.#shards(scope));
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    this.#enter(options);
    return this.#write(scope, write);
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly SetCheckpointResult[]> {
    this.#enter(options);
    return writes.map((write) => this.#write(scope, write));
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions,
  ): Promise<void> {
    this.#enter(options);
    if (to === undefined) this.#shards(scope).delete(shardId);
    else this.#shards(scope).set(shardId, { ...to });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
  }

  #write(scope: StoreScope, { shardId, checkpoint }: CheckpointWrite): SetCheckpointResult {
    const shards = this.#shards(scope);
    const stored = shards.get(shardId);
    const ahead = stored === undefined ? 1 : compareCheckpoints(checkpoint, stored);
    if (stored !== undefined && ahead <= 0) {
      return { outcome: ahead === 0 ? "same" : "behind", stored };
    }
    shards.set(shardId, { ...checkpoint });
    return { outcome: "written", stored: checkpoint };
  }

  #shards(scope: StoreScope): Map<string, Checkpoint> {
    const key = scopeKey(scope);
    let shards = this.#data.checkpoints.get(key);
    if (shards === undefined) this.#data.checkpoints.set(key, (shards = new Map()));
    return shards;
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new StoreError("STORE_CLOSED", "the memory store was disposed");
    options?.signal?.throwIfAborted();
  }
}

function scopeKey({ application, streamName }: StoreScope): string {
  return JSON.stringify([application, streamName]);
}
