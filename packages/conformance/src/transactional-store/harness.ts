import type { TransactionalDeadLetters, TransactionalStore } from "@kc/core";
import type { Scenario } from "../scenario.ts";
import type { StoreHarness } from "../store/harness.ts";
import type { ServerAddress } from "../wire.ts";

/** A shard that effects belong to: where a database keeps data by key, they lie beside its row. */
export interface EffectsShard {
  readonly application: string;
  readonly streamName: string;
  readonly shardId: string;
}

/**
 * What the suite needs to know of an adapter's transactions: the harness of its other suites, with a
 * place for effects in the same database. An *effect* is a name. The place counts how often each name was
 * stored, so it must not refuse or merge a repeat:
 *
 * - SQL: a table without a unique key; `apply` is an `INSERT` by `tx`, `effects` a `SELECT` by the
 *   harness's own connection.
 * - DynamoDB: an item for each name; `apply` collects an `Update` with `ADD times :one`, `effects` scans
 *   and lists a name as often as it was added. No scenario applies a name twice in one transaction, or
 *   more than 20 names.
 * - Redis: a list in the slot of the shard; `apply` collects an `RPUSH`, `effects` is an `LRANGE`.
 *
 * Disposing works while the connection is broken, as for the other suites.
 */
export interface TransactionalStoreHarness<Tx = unknown> extends Omit<
  StoreHarness,
  "open" | "lockRow" | "openOnBorrowedClient"
> {
  /** One more handle on the same data, as another process would open it. */
  open(): Promise<TransactionalStore<Tx>>;

  /** Stores one effect by the transaction. It may throw, or reject, what the driver does. */
  apply(tx: Tx, effect: string, shard: EffectsShard): void | PromiseLike<void>;

  /** What was stored, in any order, repeats included: what is committed, and seen by everybody. */
  effects(): Promise<readonly string[]>;

  /**
   * True where `work` must be synchronous, as with SQLite. What a scenario does in the midst of the work it
   * then does before it. @default false: `work` may wait
   */
  readonly worksSynchronously?: boolean;

  /**
   * Breaks the connection at the next commit of any handle, by a proxy or a double of the driver: `before`
   * = the commit has not reached the database, and does not take effect; `after` = it has taken effect, and
   * its answer is lost. Connections that are made afterwards work. Absent = list the gaps.
   */
  cutAtCommit?(when: "before" | "after"): Promise<void>;

  /** Where the servers listen, with `openAt`. Absent = no server is behind the store: list the gaps. */
  readonly servers?: readonly ServerAddress[];

  /** One more handle, over connections of its own to these addresses, which lead to `servers` in turn. */
  openAt?(addresses: readonly ServerAddress[]): Promise<TransactionalStore<Tx>>;

  /**
   * Within so many milliseconds others go on where a client stands still in a transaction: the server ends
   * one that is idle. @default 10000
   */
  readonly leaseMs?: number;

  /**
   * The server ends the sessions of the clients with these ports, as its administrator can.
   * Absent = it has no sessions.
   */
  endSessions?(ports: readonly number[]): Promise<void>;

  /** A transaction of the harness's own. Needed where the store has `checkpointIn`. */
  begin?(): Promise<OwnTransaction<Tx>>;

  /**
   * What the work may not do with its `tx`, by name: each way to end the transaction or its connection.
   * Absent = there is none.
   */
  readonly misuses?: Readonly<Record<string, (tx: Tx) => unknown>>;

  /**
   * Makes the work fail in the database: by a constraint, a condition or a type, at once or at the commit,
   * whichever the handler learns of last. Called before effects.
   */
  refuse?(tx: Tx, shard: EffectsShard): void | PromiseLike<unknown>;

  /** What the driver throws of two transactions that conflict. Absent = transactions do not conflict. */
  conflict?(): Error;

  /** Locks what has this name, until the transaction ends. Absent = work does not wait for other work. */
  lock?(tx: Tx, name: string): Promise<unknown>;

  /** So many stores on one pool of so many connections, which is handed in. Absent = none takes a pool. */
  openOnPool?(connections: number, stores: number): Promise<readonly TransactionalStore<Tx>[]>;

  /** A table of letters in the same database, on the handle given. Absent = letters go by themselves. */
  letters?(store: TransactionalStore<Tx>): Promise<TransactionalDeadLetters<Tx>>;
}

/** A transaction that the user's own code has opened. */
export interface OwnTransaction<Tx> {
  /** For `checkpointIn`. */
  readonly executor: unknown;
  /** For `apply`. */
  readonly tx: Tx;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

export type TransactionalStoreScenario = Scenario<TransactionalStoreHarness>;
