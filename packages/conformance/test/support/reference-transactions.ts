import {
  StoreError,
  type CallOptions,
  type CheckpointInResult,
  type DeadLetter,
  type StoreScope,
  type TransactionalDeadLetters,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import { isAtOrBeyond } from "@kc/core/adapter";
import type { TransactionalStoreHarness } from "../../src/index.ts";
import { ReferencePlace, ReferenceQueue } from "./reference-dead-letters.ts";
import { referenceHarness, ReferenceServer, ReferenceStore, roundTrip } from "./reference-store.ts";

/** A server with locks on rows, and a table of effects. */
export class TransactionalServer extends ReferenceServer {
  effects: string[] = [];
  letters = new ReferencePlace();
  /** What the next commit meets. */
  cut: "before" | "after" | undefined;
  /** Cuts of the connection: a transaction that was open at one is gone. */
  cuts = 0;
  readonly #locks = new Map<string, Promise<void>>();

  /** Resolves with what unlocks the row, once nobody else has it. */
  async lock(key: string): Promise<() => void> {
    const before = this.#locks.get(key);
    let unlock = (): void => {};
    const held = new Promise<void>((resolve) => (unlock = resolve));
    this.#locks.set(
      key,
      (before ?? Promise.resolve()).then(() => held),
    );
    await before;
    return unlock;
  }
}

/** A connection with an open transaction. What it has written is seen once it is committed. */
export class ReferenceTx {
  readonly server: TransactionalServer;
  readonly writes: (() => void)[] = [];
  readonly unlocks: (() => void)[] = [];
  readonly #cuts: number;

  constructor(server: TransactionalServer) {
    this.server = server;
    this.#cuts = server.cuts;
  }

  async write(change: () => void): Promise<void> {
    await this.statement();
    this.writes.push(change);
  }

  async statement(): Promise<void> {
    await roundTrip();
    if (this.server.reachable && this.server.cuts === this.#cuts) return;
    throw new StoreError("STORE_UNAVAILABLE", "the connection broke", { retryable: true });
  }

  end(): void {
    for (const unlock of this.unlocks) unlock();
  }
}

/** The reference store with transactions, in small steps: each mutant breaks one of them. */
export class TransactionalReference
  extends ReferenceStore
  implements TransactionalStore<ReferenceTx, ReferenceTx>
{
  declare readonly server: TransactionalServer;

  async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: ReferenceTx) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    await this.begin(options);
    const tx = new ReferenceTx(this.server);
    try {
      const value = await this.work(work, tx, options?.signal);
      this.checkOpen();
      const result = await this.lastStatement(tx, scope, write);
      options?.signal?.throwIfAborted();
      if (result.outcome !== "written") return result;
      await this.commit(tx);
      return { outcome: "committed", value };
    } catch (error) {
      this.failed(tx);
      throw error;
    } finally {
      tx.end();
    }
  }

  async checkpointIn(
    executor: ReferenceTx,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    this.checkOpen();
    return this.lastStatement(executor, scope, write);
  }

  async begin(options: CallOptions | undefined): Promise<void> {
    await this.enter("setCheckpoint", options);
  }

  /** What the work answers, or the signal's reason. */
  async work<Value>(
    work: (tx: ReferenceTx) => Value | PromiseLike<Value>,
    tx: ReferenceTx,
    signal: AbortSignal | undefined,
  ): Promise<Value> {
    const answer = Promise.resolve(work(tx));
    if (signal === undefined) return answer;
    return new Promise<Value>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      answer.then(resolve, reject);
    });
  }

  /** Locks the row, compares, and writes within the transaction. */
  async lastStatement(
    tx: ReferenceTx,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    const key = this.shardKey(scope, write.shardId);
    tx.unlocks.push(await this.server.lock(key));
    await tx.statement();
    const result = this.judge(scope, write);
    if (result.outcome === "written") await this.put(tx, key, write);
    return result;
  }

  judge(scope: StoreScope, write: TransactionalWrite): CheckpointInResult {
    const key = this.shardKey(scope, write.shardId);
    if (!this.holds(this.server.leases.get(key), write.fence)) return { outcome: "lease-lost" };
    const stored = this.read(key);
    if (stored === undefined || !this.covers(stored, write)) return { outcome: "written" };
    return { outcome: "already-done", stored };
  }

  covers(...[stored, { from }]: CoversCall): boolean {
    return isAtOrBeyond(stored, from);
  }

  async put(tx: ReferenceTx, key: string, { checkpoint }: TransactionalWrite): Promise<void> {
    await tx.write(() => this.server.checkpoints.set(key, this.encode(checkpoint)));
  }

  async commit(tx: ReferenceTx): Promise<void> {
    const { cut } = this.server;
    this.server.cut = undefined;
    await tx.statement();
    if (cut !== "before") for (const write of tx.writes) write();
    if (cut !== undefined) this.unknown();
  }

  unknown(): void {
    throw new StoreError("STORE_UNAVAILABLE", "the commit was not answered", { retryable: true });
  }

  failed(_tx: ReferenceTx): void {}
}

type CoversCall = readonly [Parameters<typeof isAtOrBeyond>[0], TransactionalWrite];

export type TransactionalReferenceClass = new (
  server: TransactionalServer,
) => TransactionalReference;

class Letters extends ReferenceQueue implements TransactionalDeadLetters<ReferenceTx> {
  readonly store: TransactionalReference;

  constructor(store: TransactionalReference) {
    super(store.server.letters);
    this.store = store;
  }

  sendIn(tx: ReferenceTx, letters: readonly DeadLetter[]): Promise<void> {
    const { place } = this;
    return tx.write(() => letters.forEach((letter) => place.letters.set(letter.id, letter)));
  }
}

/** A harness on a server of its own, with stores of the class given, and something of one's own. */
export function transactionalHarness(
  Class: TransactionalReferenceClass = TransactionalReference,
  server = new TransactionalServer(),
  own: Partial<TransactionalStoreHarness<ReferenceTx>> = {},
): TransactionalStoreHarness<ReferenceTx> {
  const store = referenceHarness(Class as never, server);
  return {
    ...store,
    open: async () => new Class(server),
    apply: (tx, effect) => tx.write(() => void server.effects.push(effect)),
    effects: async () => [...server.effects],
    async breakConnection() {
      server.cuts += 1;
      await store.breakConnection!();
    },
    async grantLease(scope, shardId, fence) {
      const unlock = await server.lock(new Class(server).shardKey(scope, shardId));
      await roundTrip();
      await store.grantLease!(scope, shardId, fence);
      unlock();
    },
    async cutAtCommit(when) {
      server.cut = when;
    },
    async begin() {
      const tx = new ReferenceTx(server);
      const end = async (): Promise<void> => tx.end();
      return {
        executor: tx,
        tx,
        async commit() {
          for (const write of tx.writes) write();
          await end();
        },
        rollback: end,
      };
    },
    letters: async (opened) => new Letters(opened as TransactionalReference),
    ...own,
  };
}
