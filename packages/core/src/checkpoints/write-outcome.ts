import { LeaseLostError, StoreRegressedError } from "../errors.ts";
import {
  checkpointAt,
  compareCheckpoints,
  comparePositions,
  formatCheckpoint,
  type Checkpoint,
  type Position,
} from "./position.ts";
import type { BulkCheckpointResult, CheckpointWrite, Fence, SetCheckpointResult } from "./store.ts";
import type { CheckpointInResult, TransactionalWrite } from "./transactional-store.ts";

/** Who may write a shard's checkpoint. */
export interface ShardLease {
  /** 0 = never held. */
  readonly epoch: number;
  /** Undefined = free. */
  readonly owner: string | undefined;
}

/**
 * What becomes of a write, given what is stored: for stores that look and write within one
 * transaction.
 */
export function writeOutcome(
  { checkpoint, fence }: CheckpointWrite,
  lease: ShardLease,
  stored: Checkpoint | undefined,
): BulkCheckpointResult {
  if (!holds(fence, lease)) return { outcome: "lease-lost" };
  return advanceOutcome(checkpoint, stored);
}

/** The same of a write whose fence holds: by the positions alone. */
export function advanceOutcome(
  checkpoint: Checkpoint,
  stored: Checkpoint | undefined,
): SetCheckpointResult {
  const order = stored === undefined ? 1 : compareCheckpoints(checkpoint, stored);
  if (stored === undefined || order > 0) return { outcome: "written", stored: checkpoint };
  return { outcome: order === 0 ? "same" : "behind", stored };
}

/**
 * What becomes of a write that stands for work in its own transaction, given what is stored.
 * @throws StoreRegressedError
 */
export function transactionOutcome(
  write: TransactionalWrite,
  lease: ShardLease,
  stored: Checkpoint | undefined,
): CheckpointInResult {
  if (!holds(write.fence, lease)) return { outcome: "lease-lost" };
  if (stored !== undefined && isAtOrBeyond(stored, write.from))
    return { outcome: "already-done", stored };
  checkNotRegressed(write, stored);
  return { outcome: "written" };
}

/** Is less stored than the caller knows of? */
export function hasLess({ after }: TransactionalWrite, stored: Checkpoint | undefined): boolean {
  return after !== undefined && (stored === undefined || !isAtOrBeyond(stored, after));
}

/** Asked of a write whose fence holds. @throws StoreRegressedError if less is stored than the caller knows of */
export function checkNotRegressed(write: TransactionalWrite, stored: Checkpoint | undefined): void {
  if (!hasLess(write, stored)) return;
  const { shardId, after } = write;
  const stands = stored === undefined ? "no checkpoint" : formatCheckpoint(stored);
  throw new StoreRegressedError(
    `${shardId}: the store has ${stands}, and it had ${formatCheckpoint(checkpointAt(after!))}. It was emptied, ` +
      "restored from a copy, failed over to a replica that lagged, or reset. Nothing was written. To " +
      "continue from its present state, start the consumer again.",
    { shardId },
  );
}

/** Are this record and all before it done, by what is stored? What is done beyond its position is not asked. */
export function isAtOrBeyond(stored: Checkpoint, position: Position): boolean {
  return stored.kind === "shard-end" || comparePositions(stored, position) >= 0;
}

/** Without a fence, only a shard that no worker holds can be written. */
function holds(fence: Fence | undefined, lease: ShardLease): boolean {
  return fence === undefined
    ? lease.owner === undefined
    : lease.owner === fence.owner && lease.epoch === fence.epoch;
}

/**
 * The bulk form's answer to one write, as `setCheckpoint` gives it.
 * @throws LeaseLostError; the error of a write that failed
 */
export function singleResult(
  { shardId }: CheckpointWrite,
  result: BulkCheckpointResult | undefined,
): SetCheckpointResult {
  if (result?.outcome === "failed") throw result.error;
  if (result !== undefined && result.outcome !== "lease-lost") return result;
  throw new LeaseLostError(shardId, "the fence is not the one in the store");
}
