import { randomBytes } from "node:crypto";
import {
  LeaseLostError,
  StoreError,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { writeOutcome } from "@kc/core/adapter";
import { inParts, type Call, type Calls } from "./calls.ts";
import { isDeadlock, isLock } from "./errors.ts";
import { addLeaseRows, resetLease } from "./lease-statements.ts";
import type { Snapshot } from "./snapshot.ts";
import { lockedAmong } from "./locked-rows.ts";
import { columnsOf } from "./rows.ts";
import { advance, deleteCheckpoint, putCheckpoint } from "./statements.ts";

/** The lease of a shard that has no row. */
export const FREE = { epoch: 0, owner: undefined } as const;

type Numbered = CheckpointWrite & { readonly index: number };

/** The rows of checkpoints. `Store` documents each method. */
export class Checkpoints {
  readonly #calls: Calls;
  /**
   * True after a bulk write met a lock or got no answer. Until one succeeds without a lock, each bulk write first
   * checks which rows are locked.
   */
  #meetsLocks = false;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  get(
    scope: StoreScope,
    shardId: string,
    options: CallOptions | undefined,
  ): Promise<Checkpoint | undefined> {
    return this.#calls.run(scope, [{ shardId }], options, async (call) => {
      const { checkpoints } = await call.snapshot({ checkpoints: [shardId] });
      return checkpoints.get(shardId)?.checkpoint;
    });
  }

  all(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#calls.run(scope, [], options, async (call) => {
      const { checkpoints } = await call.snapshot({ checkpoints: "all" });
      return new Map([...checkpoints].map(([shardId, { checkpoint }]) => [shardId, checkpoint]));
    });
  }

  async set(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const results: BulkCheckpointResult[] = [];
    const numbered = writes.map((write, index) => ({ ...write, index }));
    const move = async (call: Call, some: readonly Numbered[]): Promise<void> => {
      for (let open = some; open.length > 0;) {
        const answers = await moveForward(call, scope, open);
        open = open.filter(({ index }, i) => {
          const answer = answers[i];
          if (answer !== undefined) results[index] = answer;
          return answer === undefined;
        });
      }
    };
    const fail = (some: readonly Numbered[]): void => {
      for (const { shardId, index } of some) results[index] = lockedRow(shardId);
      meetsLocks ||= some.length > 0;
    };
    let meetsLocks = false;
    for (const part of inParts(numbered)) {
      // Kept for this write too: another write may have met no lock between two attempts of this one.
      let checksLocks = false;
      await this.#calls.run(scope, part, options, async (call) => {
        checksLocks ||= this.#meetsLocks;
        const { locked, absent, free } =
          checksLocks && part.length > 1 ? await byState(call, part) : { ...NONE, free: part };
        fail(locked);
        try {
          await move(call, free);
          await move(call, absent).catch((error: unknown) => {
            if (!isLock(error) || isDeadlock(error)) throw error;
            fail(absent);
          });
        } catch (error) {
          // The victim of a deadlock is not blocked at its next attempt.
          if (!isDeadlock(error)) this.#meetsLocks = checksLocks = true;
          throw error;
        }
      });
    }
    if (writes.length > 1) this.#meetsLocks = meetsLocks;
    return results;
  }

  async reset(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options: (CallOptions & { readonly force?: boolean }) | undefined,
  ): Promise<void> {
    const force = options?.force === true;
    await this.#calls.run(scope, [{ shardId, checkpoint: to }], options, async (call) => {
      for (let done = false; !done;) done = await reset(call, shardId, to, force);
    });
  }
}

type ByState = Readonly<Record<"locked" | "absent" | "free", readonly Numbered[]>>;

const NONE: ByState = { locked: [], absent: [], free: [] };

/**
 * Groups the shards of a write that has met a lock, in two round trips. `locked` shards have a row that could not be
 * locked as the write would lock it. `absent` ones lack a row: another transaction may have inserted it, which is
 * invisible until it commits.
 */
async function byState(call: Call, writes: readonly Numbered[]): Promise<ByState> {
  const shardIds = writes.map(({ shardId }) => shardId);
  const seen = await call.snapshot({ leases: shardIds, checkpoints: shardIds });
  const isLocked = await lockedAmong(call, shardIds, seen);
  const isAbsent = (id: string): boolean => !seen.leases.has(id) || !seen.stored.has(id);
  const open = writes.filter(({ shardId }) => !isLocked(shardId));
  return {
    locked: writes.filter(({ shardId }) => isLocked(shardId)),
    absent: open.filter(({ shardId }) => isAbsent(shardId)),
    free: open.filter(({ shardId }) => !isAbsent(shardId)),
  };
}

function lockedRow(shardId: string): BulkCheckpointResult {
  const text =
    `MySQL: another transaction has locked the row of ${shardId}, or of its lease. It will be written once ` +
    "that transaction has ended";
  const error = new StoreError("STORE_UNAVAILABLE", text, { retryable: true, shardId });
  return { outcome: "failed", error };
}

/**
 * Moves checkpoints forward in one statement. If the server found and changed as many rows as there are writes, all
 * of them moved, so a steady flush is one round trip. Otherwise, or if a trigger may have changed rows, a snapshot
 * taken afterwards distinguishes them: a row that moved has the statement's mark. `undefined` if the write must be
 * tried again, because of a concurrent change.
 */
async function moveForward(
  { session, place, snapshot }: Call,
  scope: StoreScope,
  writes: readonly CheckpointWrite[],
): Promise<readonly (BulkCheckpointResult | undefined)[]> {
  const mark = randomBytes(8).readBigUInt64BE();
  const rows = writes.map(({ shardId, checkpoint, fence }) => ({
    ...columnsOf(shardId, checkpoint),
    epoch: fence?.epoch ?? null,
    owner: fence?.owner ?? null,
  }));
  const counted = await session.upsert(advance(place, scope, rows, mark));
  const allMoved = counted.rows === writes.length && counted.changed === writes.length;
  if (allMoved && !place.hasUserColumns) {
    return writes.map(({ checkpoint }) => ({ outcome: "written", stored: checkpoint }));
  }
  const shardIds = writes.map(({ shardId }) => shardId);
  const { leases, checkpoints } = await snapshot({ leases: shardIds, checkpoints: shardIds });
  const missing = writes.filter(({ shardId, fence }) => !fence && !leases.has(shardId));
  if (missing.length > 0) {
    await session.write(
      addLeaseRows(
        place,
        missing.map(({ shardId }) => shardId),
      ),
    );
  }
  return writes.map((each) => {
    const stored = checkpoints.get(each.shardId);
    if (stored?.write === String(mark)) return { outcome: "written", stored: stored.checkpoint };
    const result = writeOutcome(each, leases.get(each.shardId) ?? FREE, stored?.checkpoint);
    return result.outcome === "written" ? undefined : result;
  });
}

/**
 * First takes the lease away, and changes the checkpoint's row if it exists, in one statement. Then it deletes or
 * inserts the row, but only while no worker has claimed the lease. If the process dies in between, the lease is free,
 * the checkpoint is unchanged, and the call can be repeated. Returns false if it must be tried again.
 * @throws LeaseLostError
 */
async function reset(
  { session, place, snapshot, change }: Call,
  shardId: string,
  to: Checkpoint | undefined,
  force: boolean,
): Promise<boolean> {
  const shardIds = [shardId];
  const wanted = { leases: shardIds, checkpoints: shardIds };
  const lease = (await snapshot(wanted)).leases.get(shardId);
  if (lease === undefined) {
    await session.write(addLeaseRows(place, shardIds));
    return false;
  }
  const { epoch, owner } = lease;
  if (owner !== undefined && !force) {
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }
  const row = to && columnsOf(shardId, to);
  if ((await change(resetLease(place, { shardId, epoch, owner }, row))) === 0) return false;
  const freed = { shardId, epoch: epoch + 1 };
  await session.write(
    row === undefined ? deleteCheckpoint(place, freed) : putCheckpoint(place, row, freed),
  );
  return isReset(await snapshot(wanted), shardId, freed.epoch, to);
}

/** False if another worker claimed the shard in between: its lease would start from the checkpoint to be replaced. */
function isReset(
  { leases, stored }: Snapshot,
  shardId: string,
  epoch: number,
  to: Checkpoint | undefined,
): boolean {
  const lease = leases.get(shardId);
  if (lease?.owner === undefined && lease?.epoch === epoch) return true;
  return stored.has(shardId) === (to !== undefined);
}
