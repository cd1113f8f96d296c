import type { WorkerRow } from "./lease-store.ts";
import type { Checkpoint } from "./position.ts";
import type { ApplicationRow, StoreScope } from "./store.ts";

/** One shard's row, with its checkpoint and its lease. */
export interface MemoryShard {
  checkpoint: Checkpoint | undefined;
  /** 0 = never held. */
  epoch: number;
  /** Undefined = free. */
  owner: string | undefined;
  /** Undefined if there is no lease row. */
  lineage: string | undefined;
}

/** The rows of one application on one stream. */
export class MemoryApplication {
  row: ApplicationRow | undefined;
  revision = 0;
  readonly shards: Map<string, MemoryShard> = new Map();
  readonly workers: Map<string, WorkerRow> = new Map();
  readonly watchers: Set<() => void> = new Set();

  /** A shard's row, created if there is none. */
  shard(shardId: string): MemoryShard {
    let shard = this.shards.get(shardId);
    if (shard === undefined) {
      shard = { checkpoint: undefined, epoch: 0, owner: undefined, lineage: undefined };
      this.shards.set(shardId, shard);
    }
    return shard;
  }
}

/** What a MemoryStore keeps. Two stores on the same data are two processes on one database. */
export class MemoryStoreData {
  readonly #applications = new Map<string, MemoryApplication>();

  application({ application, streamName }: StoreScope): MemoryApplication {
    const key = JSON.stringify([application, streamName]);
    let found = this.#applications.get(key);
    if (found === undefined) this.#applications.set(key, (found = new MemoryApplication()));
    return found;
  }

  /** A shard's row, created if there is none. */
  shard(scope: StoreScope, shardId: string): MemoryShard {
    return this.application(scope).shard(shardId);
  }
}
