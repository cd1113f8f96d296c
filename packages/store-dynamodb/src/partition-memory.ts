import {
  compareCheckpoints,
  type BulkCheckpointResult,
  type Checkpoint,
  type CheckpointWrite,
} from "@kc/core";
import { writerOf } from "./rows.ts";
import type { Partition } from "./statements.ts";

/** What this store remembers of one partition between two calls. None of it is needed. */
export class PartitionMemory {
  readonly partition: Partition;
  /** The last revision that was read; undefined = none was. */
  revision: number | undefined;
  /** A change stands, or may stand, whose revision was not raised: the next heartbeat does. */
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
 * What was written by bulk writes that failed as a whole: a table that throttles takes a part of
 * each. The next one leaves out what it would only pay for again, and begins with those shards that
 * have waited longest.
 */
export class Acknowledged {
  /** By shard, the last one last. */
  readonly #entries = new Map<string, Entry>();

  /** What is left to do, in that order. */
  outstanding(writes: readonly CheckpointWrite[]): readonly CheckpointWrite[] {
    const turns = new Map([...this.#entries.keys()].map((shardId, turn) => [shardId, turn]));
    const turnOf = ({ shardId }: CheckpointWrite): number => turns.get(shardId) ?? -1;
    return writes
      .filter((write) => this.resultOf(write) === undefined)
      .toSorted((a, b) => turnOf(a) - turnOf(b));
  }

  /** The result of this very write, if it is known. */
  resultOf({ shardId, checkpoint, fence }: CheckpointWrite): BulkCheckpointResult | undefined {
    const entry = this.#entries.get(shardId);
    const isThis =
      entry?.writer === writerOf(fence) && compareCheckpoints(entry.checkpoint, checkpoint) === 0;
    return isThis ? entry.result : undefined;
  }

  add({ shardId, checkpoint, fence }: CheckpointWrite, result: BulkCheckpointResult): void {
    this.#entries.delete(shardId);
    // A lease may come back: whether it is lost is asked each time.
    if (result.outcome === "lease-lost") return;
    this.#entries.set(shardId, { checkpoint, writer: writerOf(fence), result });
  }

  /** All is written, or no longer what it was. */
  clear(): void {
    this.#entries.clear();
  }
}
