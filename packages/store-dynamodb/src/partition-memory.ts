import {
  compareCheckpoints,
  type BulkCheckpointResult,
  type Checkpoint,
  type CheckpointWrite,
} from "@kc/core";
import { writerOf } from "./rows.ts";
import type { Partition } from "./statements.ts";

/** What this store remembers of one partition between calls. It only saves requests. */
export class PartitionMemory {
  readonly partition: Partition;
  /** The last revision that was read; `undefined` if none was. */
  revision: number | undefined;
  /** True if a change was made, or may have been, whose revision was not raised. The next heartbeat raises it. */
  hasPendingRevision = false;
  readonly acknowledged: Acknowledged = new Acknowledged();

  constructor(partition: Partition) {
    this.partition = partition;
  }
}

interface Entry {
  readonly checkpoint: Checkpoint;
  readonly writer: string;
  readonly result: BulkCheckpointResult;
}

/**
 * The successful writes of bulk writes that failed as a whole: a throttling table accepts a part of each. The next bulk
 * write omits them, since it would only pay for them again, and starts with the shards that have waited longest.
 */
export class Acknowledged {
  /** By shard, in the order of writes. */
  readonly #entries = new Map<string, Entry>();

  /** The writes that are left, the longest waiting first. */
  outstanding(writes: readonly CheckpointWrite[]): readonly CheckpointWrite[] {
    const turns = new Map([...this.#entries.keys()].map((shardId, turn) => [shardId, turn]));
    const turnOf = ({ shardId }: CheckpointWrite): number => turns.get(shardId) ?? -1;
    return writes
      .filter((write) => this.resultOf(write) === undefined)
      .toSorted((a, b) => turnOf(a) - turnOf(b));
  }

  /** The result of the same write, if it is known. */
  resultOf({ shardId, checkpoint, fence }: CheckpointWrite): BulkCheckpointResult | undefined {
    const entry = this.#entries.get(shardId);
    const isThis =
      entry?.writer === writerOf(fence) && compareCheckpoints(entry.checkpoint, checkpoint) === 0;
    return isThis ? entry.result : undefined;
  }

  add({ shardId, checkpoint, fence }: CheckpointWrite, result: BulkCheckpointResult): void {
    this.#entries.delete(shardId);
    // The worker may claim the lease again, so a lost lease is checked each time.
    if (result.outcome === "lease-lost") return;
    this.#entries.set(shardId, { checkpoint, writer: writerOf(fence), result });
  }

  /** Called when all writes have succeeded, or the stored state has changed. */
  clear(): void {
    this.#entries.clear();
  }
}
