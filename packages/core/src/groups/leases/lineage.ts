import type { ShardLineage } from "../../checkpoints/lease-store.ts";
import { isSequenceNumber } from "../../checkpoints/position.ts";
import { corruptLease } from "../../checkpoints/stored-rows.ts";
import { printable } from "../../describe-error.ts";
import { isHashKeyRange, type HashKeyRange } from "../../kinesis/hash-key-range.ts";

/**
 * What the workers of an application write for each other about a shard, as JSON in its lease's row.
 * Members that this version does not know are ignored. A version that knows more must expect that its
 * own members are missing: each version writes only the members that it knows.
 */
export interface Lineage {
  readonly parents: readonly string[];
  /**
   * Did a complete listing name it? A shard that only its parent's last page announced may have a
   * second parent that no listing has named yet. That parent must not count as gone.
   */
  readonly listed: boolean;
  /** Was it there when the application's shards were listed for the first time? */
  readonly atStart: boolean;
  /** Had it a parent that was still listed, or had a checkpoint? */
  readonly afterParent: boolean;
  /**
   * Undefined in a row of an earlier version, and where the service gives none. The next listing that
   * names the shard with a range adds it.
   */
  readonly hashKeyRange?: HashKeyRange | undefined;
  /**
   * The number with which its records begin: only the worker that lists the shards would know it. Undefined
   * as with `hashKeyRange`, and where a shard is only announced.
   */
  readonly startingSequenceNumber?: string | undefined;
  /** The owner that holds it and does not reach Kinesis, by its own note. */
  readonly unreadBy?: string | undefined;
  /** A worker that reaches Kinesis, as an owner: it noted so after it had seen `unreadBy`. */
  readonly readableBy?: string | undefined;
}

/** The members of a lineage alone. */
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
