import type { TransactionalDeadLetters, TransactionalStore } from "@kc/core";
import type { Scenario } from "../scenario.ts";
import type { StoreHarness } from "../store/harness.ts";
import type { ServerAddress } from "../wire.ts";

/**
 * The shard to which effects belong. A database that stores data by key keeps them in the shard's
 * slot or partition.
 */
export interface EffectsShard {
  readonly application: string;
  readonly streamName: string;
  readonly shardId: string;
}

/**
 * Gives the suite access to an adapter's transactions: the harness of its other suites, plus a
 * place for effects in the same database. An *effect* is a name. The place counts how often each
 * name was stored, so it must not refuse or merge a repeat:
 *
 * - SQL: a table without a unique key; `apply` is an `INSERT` through `tx`, `effects` a `SELECT` on
 *   the harness's own connection.
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
  /** Opens another handle on the same data, as another process would. */
  open(): Promise<TransactionalStore<Tx>>;

  /** Stores one effect in the transaction. It may throw or reject with the driver's error. */
  apply(tx: Tx, effect: string, shard: EffectsShard): void | PromiseLike<void>;

  /** All committed effects, in any order, with repeats. */
  effects(): Promise<readonly string[]>;

  /**
   * True if `work` must be synchronous, as with SQLite. Scenarios then perform asynchronous steps
   * before the work instead of during it. @default false: `work` may be async
   */
  readonly worksSynchronously?: boolean;

  /**
   * Breaks the connection at the next commit of any handle, by a proxy or a double of the driver:
   * `before`: the commit does not reach the database and does not take effect; `after`: it takes
   * effect, and its answer is lost. Later connections work. If absent, list the gaps.
   */
  cutAtCommit?(when: "before" | "after"): Promise<void>;

  /**
   * The servers' addresses, used with `openAt`. If absent (the store has no server), list the gaps.
   */
  readonly servers?: readonly ServerAddress[];

  /**
   * Opens another handle, with its own connections to these addresses, which lead to `servers` in
   * the same order.
   */
  openAt?(addresses: readonly ServerAddress[]): Promise<TransactionalStore<Tx>>;

  /**
   * The time in milliseconds within which others can continue when a client freezes in a
   * transaction: the server must end idle transactions. @default 10000
   */
  readonly leaseMs?: number;

  /**
   * Ends the sessions of the clients with these ports on the server, as an administrator can.
   * Absent if the server has no sessions.
   */
  endSessions?(ports: readonly number[]): Promise<void>;

  /** Begins a transaction outside of the store. Required if the store has `checkpointIn`. */
  begin?(): Promise<OwnTransaction<Tx>>;

  /**
   * All ways to end the transaction or its connection through `tx`, by name. The work must not use
   * them. Absent if there are none.
   */
  readonly misuses?: Readonly<Record<string, (tx: Tx) => unknown>>;

  /**
   * Makes the work fail in the database: by a constraint, a condition or a type, immediately or at
   * the commit, whichever the handler notices later. Called before effects.
   */
  refuse?(tx: Tx, shard: EffectsShard): void | PromiseLike<unknown>;

  /**
   * Returns the driver's error for two conflicting transactions. Absent if transactions do not
   * conflict.
   */
  conflict?(): Error;

  /**
   * Locks the item with this name until the transaction ends. Absent if work never waits for other
   * work.
   */
  lock?(tx: Tx, name: string): Promise<unknown>;

  /**
   * Opens `stores` stores on one user's pool of `connections` connections. Absent if the store
   * takes no pool.
   */
  openOnPool?(connections: number, stores: number): Promise<readonly TransactionalStore<Tx>[]>;

  /**
   * A table of dead letters in the same database, on the given handle. Absent if letters are sent
   * separately.
   */
  letters?(store: TransactionalStore<Tx>): Promise<TransactionalDeadLetters<Tx>>;
}

/** A transaction that the user's code has opened. */
export interface OwnTransaction<Tx> {
  /** For `checkpointIn`. */
  readonly executor: unknown;
  /** For `apply`. */
  readonly tx: Tx;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

export type TransactionalStoreScenario = Scenario<TransactionalStoreHarness>;
