import type {
  CallOptions,
  CheckpointInResult,
  Fence,
  Position,
  StoreScope,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, SHARD } from "../store/fixtures.ts";
import type { OwnTransaction, TransactionalStoreHarness } from "./harness.ts";

export const HELD: Fence = { epoch: 3, owner: "worker-a#1" };

/** The position of the `n`-th record. */
export function positionAt(n: number, subSequenceNumber?: number): Position {
  const checkpoint = at(n, subSequenceNumber);
  if (checkpoint.kind !== "position") throw new Error("a position is no end");
  const { sequenceNumber } = checkpoint;
  return subSequenceNumber === undefined
    ? { sequenceNumber }
    : { sequenceNumber, subSequenceNumber };
}

/** The write of the records from the `from`-th to the `to`-th. */
export function writeOf(
  from: number,
  to: number,
  own: Partial<Pick<TransactionalWrite, "fence" | "shardId" | "after">> = {},
): TransactionalWrite {
  return { shardId: SHARD, from: positionAt(from), checkpoint: at(to), ...own };
}

/** The effects of the records from the `from`-th to the `to`-th. */
export function effectsOf(from: number, to: number, shardId = SHARD): readonly string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${shardId}#${from + index}`);
}

interface Batch extends CallOptions {
  /** @default the scope of the other scenarios */
  readonly scope?: StoreScope;
  /** The effects that the work stores. */
  readonly effects: readonly string[];
  /** Called when they are applied, before the work ends. */
  readonly meanwhile?: () => Promise<unknown>;
}

/** Runs one transaction that stores effects, and returns its result. */
export async function transact<Tx>(
  harness: TransactionalStoreHarness<Tx>,
  store: TransactionalStore<Tx>,
  write: TransactionalWrite,
  { effects, meanwhile, scope = SCOPE, ...options }: Batch,
): Promise<TransactionResult<"done">> {
  const { shardId } = write;
  const shard = { ...scope, shardId };
  if (harness.worksSynchronously === true) {
    await meanwhile?.();
    const work = (tx: Tx): "done" => {
      for (const effect of effects) void harness.apply(tx, effect, shard);
      return "done";
    };
    return store.transact(scope, write, work, options);
  }
  const work = async (tx: Tx): Promise<"done"> => {
    for (const effect of effects) await harness.apply(tx, effect, shard);
    await meanwhile?.();
    return "done";
  };
  return store.transact(scope, write, work, options);
}

type CheckpointIn = (
  executor: unknown,
  scope: typeof SCOPE,
  write: TransactionalWrite,
) => Promise<CheckpointInResult>;

/** `checkpointIn` of a store that has it; it accepts the executors of its own harness. */
export function checkpointIn(
  store: TransactionalStore,
  executor: unknown,
  write: TransactionalWrite,
): Promise<CheckpointInResult> {
  return (store.checkpointIn as CheckpointIn).call(store, executor, SCOPE, write);
}

/**
 * Runs one transaction that the user's code opens, with `checkpointIn`, and returns the store's
 * result.
 */
export async function inOwn(
  harness: TransactionalStoreHarness,
  store: TransactionalStore,
  write: TransactionalWrite,
  effects: readonly string[],
  end: "commit" | "rollback",
): Promise<CheckpointInResult> {
  if (harness.begin === undefined) {
    expect.fail("a store with checkpointIn needs the harness's begin(): give it, or list this gap");
  }
  const own: OwnTransaction<unknown> = await harness.begin();
  try {
    for (const effect of effects) await harness.apply(own.tx, effect, { ...SCOPE, shardId: SHARD });
    const result = await checkpointIn(store, own.executor, write);
    if (result.outcome === "written") await own[end]();
    else await own.rollback();
    return result;
  } catch (error) {
    await own.rollback();
    throw error;
  }
}

/** Fails unless exactly these effects are stored for the shard, each as often as it is listed. */
export async function expectEffects(
  harness: TransactionalStoreHarness,
  expected: readonly string[],
  what: string,
  isMeant: (effect: string) => boolean = () => true,
): Promise<void> {
  expect((await harness.effects()).filter(isMeant).toSorted(), what).toStrictEqual(
    expected.toSorted(),
  );
}

export async function grant(
  harness: TransactionalStoreHarness,
  fence: Fence,
  shardId = SHARD,
): Promise<void> {
  if (harness.grantLease === undefined) {
    expect.fail("a store with fences needs the harness's grantLease(): give it, or list this gap");
  }
  await harness.grantLease(SCOPE, shardId, fence);
}

/** Numbers in [0, 1), the same in each run. Successive seeds give unrelated sequences. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e_37_79_b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85_eb_ca_6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2_b2_ae_35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
