import type { ShardLineage } from "../../checkpoints/lease-store.ts";
import { isSequenceNumber } from "../../checkpoints/position.ts";
import { corruptLease } from "../../checkpoints/stored-rows.ts";
import { printable } from "../../describe-error.ts";
import { isHashKeyRange, type HashKeyRange } from "../../kinesis/hash-key-range.ts";

/**
 * What the workers of an application share about a shard, as JSON in its lease row. Unknown members are ignored. Each
 * version writes only the members that it knows, so members added by a later version may be missing.
 */
export interface Lineage {
  readonly parents: readonly string[];
  /**
   * Whether a complete listing has named the shard. A shard that was only announced by its parent's last page may have
   * a second parent that no listing has named yet, and which must not count as gone.
   */
  readonly listed: boolean;
  /** Whether the shard existed when the application's shards were first listed. */
  readonly atStart: boolean;
  /** Whether the shard had a parent that was still listed or had a checkpoint. */
  readonly afterParent: boolean;
  /**
   * Undefined in a row of an earlier version, and if the service gives none. The next listing that has a range for the
   * shard adds it.
   */
  readonly hashKeyRange?: HashKeyRange | undefined;
  /**
   * Stored because only the worker that lists the shards knows it. Undefined in the cases of `hashKeyRange`, and while
   * the shard is only announced.
   */
  readonly startingSequenceNumber?: string | undefined;
  /** Set by the owner of the lease (as `owner`) while it cannot reach Kinesis. */
  readonly unreadBy?: string | undefined;
  /** Set by a worker (as an `owner`) that reached Kinesis after it had seen `unreadBy`. */
  readonly readableBy?: string | undefined;
}

/** Copies the members of a lineage only. */
export function lineageOf(of: Lineage): Lineage {
  const { parents, listed, atStart, afterParent, unreadBy, readableBy } = of;
  const { hashKeyRange, startingSequenceNumber } = of;
  return {
    parents,
    listed,
    atStart,
    afterParent,
    hashKeyRange,
    startingSequenceNumber,
    unreadBy,
    readableBy,
  };
}

export function formatLineage(lineage: Lineage): string {
  return JSON.stringify(lineageOf(lineage));
}

/** @throws StoreError STORE_CORRUPT */
export function parseLineage({ shardId, lineage }: ShardLineage): Lineage {
  const parsed = jsonOf(lineage);
  if (isLineage(parsed)) return lineageOf(parsed);
  throw corruptLease(shardId, `${JSON.stringify(printable(lineage, 80))} as its lineage`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isLineage(value: unknown): value is Lineage {
  if (typeof value !== "object" || value === null) return false;
  const of = value as Partial<Record<keyof Lineage, unknown>>;
  const { parents, listed, atStart, afterParent, unreadBy, readableBy } = of;
  const { hashKeyRange, startingSequenceNumber: first } = of;
  return (
    Array.isArray(parents) &&
    parents.every((parent) => typeof parent === "string") &&
    [listed, atStart, afterParent].every((flag) => typeof flag === "boolean") &&
    (hashKeyRange === undefined || isHashKeyRange(hashKeyRange)) &&
    (first === undefined || (typeof first === "string" && isSequenceNumber(first))) &&
    [unreadBy, readableBy].every((owner) => owner === undefined || typeof owner === "string")
  );
}
