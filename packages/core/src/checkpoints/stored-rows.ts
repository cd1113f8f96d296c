import { printable } from "../describe-error.ts";
import { KcError, StoreError } from "../errors.ts";
import type { AcquiredLease, LeaseRow, WorkerRow } from "./lease-store.ts";
import { isSequenceNumber, type Checkpoint } from "./position.ts";
import type { ApplicationRow, BulkCheckpointResult } from "./store.ts";

/**
 * Validates the rows that a store returns before anything is decided by them. Pure. Rows may come from other
 * writers: an operator, another program, a restored backup. An invalid row is an error that names the row,
 * never an endless wait.
 */

/** The largest weight of a worker, so that sums of weights stay exact enough for the assignment. */
export const MAX_WEIGHT = 1e9;
/** A lineage that core writes has fewer than 2,000 characters. */
const MAX_LINEAGE_LENGTH = 65_536;
const MAX_NAME_LENGTH = 1000;

/** @throws StoreError STORE_CORRUPT */
export function checkWorker(row: WorkerRow): void {
  const { workerId, incarnation, weight, maxShards, counter } = row;
  const problem =
    problemOf("worker id", workerId, isName(workerId) && !workerId.includes("#")) ??
    problemOf("incarnation", incarnation, isName(incarnation)) ??
    problemOf("weight", weight, isNumber(weight) && weight > 0 && weight <= MAX_WEIGHT) ??
    problemOf("maxShards", maxShards, maxShards === undefined || isCount(maxShards, 1)) ??
    problemOf("counter", counter, isCount(counter, 0));
  if (problem === undefined) return;
  throw corrupt(`the row of worker ${quoted(workerId)}`, problem, "delete the row: that worker joins again"); // prettier-ignore
}

/** @throws StoreError STORE_CORRUPT */
export function checkLease({ shardId, owner, epoch, lineage, checkpoint }: LeaseRow): void {
  checkShardId(shardId);
  const problem =
    problemOf("owner", owner, owner === undefined || isName(owner)) ??
    problemOf("epoch", epoch, isCount(epoch, 0)) ??
    problemOf(
      "lineage",
      lineage,
      typeof lineage === "string" && lineage.length <= MAX_LINEAGE_LENGTH,
    );
  if (problem !== undefined) throw corruptLease(shardId, problem);
  if (checkpoint !== undefined) checkCheckpoint(shardId, checkpoint);
}

/** @throws StoreError STORE_CORRUPT */
export function checkAcquired({ shardId, fence, checkpoint }: AcquiredLease): void {
  checkShardId(shardId);
  const problem =
    problemOf("owner", fence.owner, isName(fence.owner)) ??
    problemOf("epoch", fence.epoch, isCount(fence.epoch, 1));
  if (problem !== undefined) throw corruptLease(shardId, problem);
  if (checkpoint !== undefined) checkCheckpoint(shardId, checkpoint);
}

type InStore = Extract<Checkpoint, { kind: "position" }>;

/** @throws StoreError STORE_CORRUPT */
export function checkCheckpoint(shardId: string, checkpoint: Checkpoint): void {
  checkShardId(shardId);
  const isThere = typeof checkpoint === "object" && checkpoint !== null;
  const { kind, sequenceNumber } = isThere ? checkpoint : ({} as Partial<Checkpoint>);
  const isEndAlone = kind === "shard-end" && sequenceNumber === undefined;
  const { subSequenceNumber: sub, wholeSequenceNumber: whole } =
    kind === "position" ? (checkpoint as InStore) : {};
  const problem =
    problemOf("checkpoint", checkpoint, isThere) ??
    problemOf("kind of checkpoint", kind, kind === "position" || kind === "shard-end") ??
    problemOf("sequence number", sequenceNumber, isEndAlone || isNumberText(sequenceNumber)) ??
    problemOf("sub-sequence number", sub, sub === undefined || isCount(sub, 0)) ??
    problemOf("last whole record", whole, whole === undefined || isNumberText(whole));
  if (problem === undefined) return;
  throw corrupt(`the checkpoint of ${quoted(shardId)}`, problem, "reset that shard", shardId);
}

/** @throws StoreError STORE_CORRUPT; STORE_FAILED for an invalid result */
export function checkWritten(result: BulkCheckpointResult, shardId: string): void {
  const { outcome } = result;
  if (outcome === "lease-lost") return;
  if (outcome === "failed" && KcError.is(result.error)) return;
  if (outcome === "written" || outcome === "same" || outcome === "behind") {
    return checkCheckpoint(shardId, result.stored);
  }
  throw new StoreError(
    "STORE_FAILED",
    `setCheckpoints answered ${quoted(outcome)} for ${quoted(shardId)}, which is no outcome`,
    { shardId },
  );
}

/** @throws StoreError STORE_CORRUPT */
export function checkApplication(row: ApplicationRow): void {
  const { application, streamName, streamARN, streamCreationTimestamp: created, start } = row;
  const isStart = start === "LATEST" || start === "TRIM_HORIZON" || isDate(Object(start).timestamp);
  const problem =
    problemOf("application", application, typeof application === "string") ??
    problemOf("stream name", streamName, typeof streamName === "string") ??
    problemOf("stream ARN", streamARN, typeof streamARN === "string") ??
    problemOf("stream's creation", created, created === undefined || isDate(created)) ??
    problemOf("start", start, isStart) ??
    problemOf("time of the first start", row.startedAt, isDate(row.startedAt));
  if (problem === undefined) return;
  const remedy = "delete the row: the next start creates it again. Checkpoints are kept";
  throw corrupt(`the row of application ${quoted(application)}`, problem, remedy);
}

/** @throws StoreError STORE_CORRUPT */
export function checkRevision(revision: number): void {
  const problem = problemOf("revision", revision, isCount(revision, 0));
  if (problem === undefined) return;
  throw corrupt("the application's row of its revision", problem, "stop all workers and delete it");
}

/** @throws StoreError STORE_CORRUPT */
export function checkCounter(workerId: string, counter: number): void {
  const problem = problemOf("counter", counter, isCount(counter, 0));
  if (problem === undefined) return;
  throw corrupt(`the row of worker ${quoted(workerId)}`, problem, "delete the row");
}

/** The error for an invalid lease row. */
export function corruptLease(shardId: string, problem: string): StoreError {
  const remedy =
    "stop all workers and delete the row of that lease: they create it again. Its checkpoint is kept";
  return corrupt(`the lease of ${quoted(shardId)}`, problem, remedy, shardId);
}

function checkShardId(shardId: string): void {
  const problem = problemOf("shard id", shardId, isName(shardId));
  if (problem !== undefined) throw corrupt("the row of a shard", problem, "delete the row");
}

function corrupt(row: string, problem: string, remedy: string, shardId?: string): StoreError {
  const text = `the store contains an invalid row: ${row} has ${problem}: ${remedy}`;
  return new StoreError("STORE_CORRUPT", text, shardId === undefined ? {} : { shardId });
}

function problemOf(name: string, value: unknown, holds: boolean): string | undefined {
  return holds ? undefined : `${quoted(value)} as its ${name}`;
}

function quoted(value: unknown): string {
  const text = typeof value === "string" ? `"${value}"` : String(value);
  return printable(text, 80);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME_LENGTH;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Whether this is a safe integer of at least `least`. */
function isCount(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function isNumberText(value: unknown): boolean {
  return typeof value === "string" && isSequenceNumber(value);
}

function isDate(value: unknown): boolean {
  return value instanceof Date && !Number.isNaN(value.getTime());
}
