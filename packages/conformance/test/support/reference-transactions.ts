import {
  ConfigError,
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
import { checkNotRegressed, isAtOrBeyond, misused, TransactionTurns } from "@kc/core/adapter";
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
  /** Who has locked something for its work. */
  readonly holders: Map<string, ReferenceTx> = new Map();
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
  /** What the server refuses at the commit. */
  refusal: Error | undefined;
  /** Its work has committed it, or it is given back. */
  hasEnded = false;
  isTakenBack = false;
  isWaiting = false;
  readonly #cuts: number;

  constructor(server: TransactionalServer) {
    this.server = server;
    this.#cuts = server.cuts;
  }

  async write(change: () => void): Promise<void> {
    if (this.isTakenBack) throw misused("shard", "the transaction is over");
    await this.statement();
    this.writes.push(change);
  }

  async statement(): Promise<void> {
    await roundTrip();
    if (this.server.reachable && this.server.cuts === this.#cuts) return;
    throw new StoreError("STORE_UNAVAILABLE", "the connection broke", { retryable: true });
  }

  /** Of the work's own. */
  commit(): void {
    for (const write of this.writes.splice(0)) write();
    this.hasEnded = true;
  }

  /** @throws Conflict where its holder waits, too */
  async lock(name: string): Promise<void> {
    const { server } = this;
    if (server.holders.get(name)?.isWaiting === true) throw new Conflict(this);
    this.isWaiting = true;
    this.unlocks.push(await server.lock(name));
    this.isWaiting = false;
    server.holders.set(name, this);
  }

  end(): void {
    for (const unlock of this.unlocks) unlock();
  }
}

/** What the driver throws of a deadlock. */
export class Conflict extends Error {
  readonly tx: ReferenceTx | undefined;

  constructor(tx?: ReferenceTx) {
    super("a deadlock");
    this.tx = tx;
  }
}

/** Connections that were handed in to several stores. */
export class ReferencePool {
  readonly turns: TransactionTurns = new TransactionTurns();
  readonly connections: number;
  taken = 0;

  constructor(connections: number) {
    this.connections = connections;
  }
}

/** The reference store with transactions, in small steps: each mutant breaks one of them. */
export class TransactionalReference
  extends ReferenceStore
  implements TransactionalStore<ReferenceTx, ReferenceTx>
{
  declare readonly server: TransactionalServer;
  pool: ReferencePool | undefined;

  async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: ReferenceTx) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    const endTurn = await this.takeTurn(this.mostTransactions(), options?.signal);
    try {
      return await this.inTurn(scope, write, work, options);
    } finally {
      endTurn();
    }
  }

  mostTransactions(): number {
    const { connections = Infinity } = this.pool ?? {};
    if (connections > 2) return connections - 2;
    throw new ConfigError("pool", "has fewer than 3 connections");
  }

  async takeTurn(most: number, signal?: AbortSignal): Promise<() => void> {
    const { pool } = this;
    if (pool === undefined) return () => {};
    const endTurn = await this.turnsOf(pool).take(most, signal ?? new AbortController().signal);
    pool.taken += 1;
    return () => {
      pool.taken -= 1;
      endTurn();
    };
  }

  turnsOf(pool: ReferencePool): TransactionTurns {
    return pool.turns;
  }

  /** Its calls need a connection beside those of transactions. */
  override async enter(...call: Parameters<ReferenceStore["enter"]>): Promise<void> {
    await super.enter(...call);
    const { connections = 1, taken = 0 } = this.pool ?? {};
    if (taken >= connections) {
      throw new StoreError("STORE_UNAVAILABLE", "no connection", { retryable: true });
    }
  }

  async inTurn<Value>(
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
      this.checkWhole(tx, write.shardId);
      const result = await this.lastStatement(tx, scope, write);
      options?.signal?.throwIfAborted();
      if (result.outcome !== "written") return result;
      await this.commit(tx);
      return { outcome: "committed", value };
    } catch (error) {
      this.failed(tx);
      if (this.hasToRunAgain(tx, error)) {
        throw new StoreError("STORE_UNAVAILABLE", "run it again", { retryable: true });
      }
      throw error;
    } finally {
      tx.end();
      this.takeBack(tx);
    }
  }

  checkWhole({ hasEnded }: ReferenceTx, shardId: string): void {
    if (hasEnded) throw misused(shardId, "the work has ended its transaction");
  }

  hasToRunAgain(tx: ReferenceTx, error: unknown): boolean {
    return error instanceof Conflict && error.tx === tx;
  }

  takeBack(tx: ReferenceTx): void {
    tx.isTakenBack = true;
  }

  async checkpointIn(
    executor: ReferenceTx,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    this.checkOpen();
    this.checkWhole(executor, write.shardId);
    return this.lastStatement(executor, scope, write);
  }

  async begin(options: CallOptions | undefined): Promise<void> {
    await super.enter("setCheckpoint", options);
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
    if (stored !== undefined && this.covers(stored, write)) {
      return { outcome: "already-done", stored };
    }
    this.checkAfter(write, stored);
    return { outcome: "written" };
  }

  checkAfter(...call: Parameters<typeof checkNotRegressed>): void {
    checkNotRegressed(...call);
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
    if (tx.refusal !== undefined) throw tx.refusal;
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
      const end = async (): Promise<void> => {
        tx.hasEnded = true;
        tx.end();
      };
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
    misuses: { commit: (tx) => tx.commit() },
    refuse: (tx) => void (tx.refusal = new Error("refused by a constraint")),
    conflict: () => new Conflict(),
    lock: (tx, name) => tx.lock(name),
    async openOnPool(connections, stores) {
      const pool = new ReferencePool(connections);
      return Array.from({ length: stores }, () => Object.assign(new Class(server), { pool }));
    },
    letters: async (opened) => new Letters(opened as TransactionalReference),
    ...own,
  };
}
