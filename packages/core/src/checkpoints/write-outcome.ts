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

/** The lease that a fence is compared with. */
export interface ShardLease {
  /** 0 = never held. */
  readonly epoch: number;
  /** Undefined = free. */
  readonly owner: string | undefined;
}

/**
 * The outcome of a write, given what is stored. For stores that read and write within one transaction.
 */
export function writeOutcome(
  { checkpoint, fence }: CheckpointWrite,
  lease: ShardLease,
  stored: Checkpoint | undefined,
): BulkCheckpointResult {
  if (!holds(fence, lease)) return { outcome: "lease-lost" };
  return advanceOutcome(checkpoint, stored);
}

/** The outcome of a write whose fence holds, by the checkpoints alone. */
export function advanceOutcome(
  checkpoint: Checkpoint,
  stored: Checkpoint | undefined,
): SetCheckpointResult {
  const order = stored === undefined ? 1 : compareCheckpoints(checkpoint, stored);
  if (stored === undefined || order > 0) return { outcome: "written", stored: checkpoint };
  return { outcome: order === 0 ? "same" : "behind", stored };
}

/**
 * The outcome of a write in one transaction with its work, given what is stored.
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

/** Whether less is stored than the caller knows to be. */
export function hasLess({ after }: TransactionalWrite, stored: Checkpoint | undefined): boolean {
  return after !== undefined && (stored === undefined || !isAtOrBeyond(stored, after));
}

/** For a write whose fence holds. @throws StoreRegressedError if less is stored than the caller knows to be */
export function checkNotRegressed(write: TransactionalWrite, stored: Checkpoint | undefined): void {
  if (!hasLess(write, stored)) return;
  const { shardId, after } = write;
  const current = stored === undefined ? "no checkpoint" : formatCheckpoint(stored);
  throw new StoreRegressedError(
    `${shardId}: the store has ${current}, and it had ${formatCheckpoint(checkpointAt(after!))}. It was emptied, ` +
      "restored from a copy, failed over to a replica that lagged, or reset. Nothing was written. To " +
      "continue from its present state, start the consumer again.",
    { shardId },
  );
}

/** Whether the stored checkpoint covers this record and all before it. `ahead` is ignored. */
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
 * Converts a result of `setCheckpoints` to the result of `setCheckpoint`.
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
