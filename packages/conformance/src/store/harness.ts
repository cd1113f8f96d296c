import type { Fence, Store, StoreScope } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/**
 * Gives the suite access to an adapter's database. Each harness is a separate database (a file, a
 * schema, a key prefix), ready for use: if there is a schema, it exists. Disposing closes the
 * handles that were opened, removes the data, and works while the connection is broken.
 */
export interface StoreHarness extends AsyncDisposable {
  /** Opens another handle on the same data, as another or a restarted process would. */
  open(): Promise<Store>;

  /** Makes the database unreachable for every handle, until `restore`. If absent, list the gaps. */
  breakConnection?(): Promise<void>;
  /** Resolves when the database can be reached again. */
  restore?(): Promise<void>;

  /**
   * Writes a lease into the data: `fence.owner` holds the shard with `fence.epoch`. Required if
   * `capabilities.fences` is true, because a store without leases cannot grant one.
   */
  grantLease?(scope: StoreScope, shardId: string, fence: Fence): Promise<void>;

  /**
   * Locks this shard's row in the checkpoints or the leases in another transaction, until the
   * returned function is called. Both rows exist. Absent if the database has no row locks.
   */
  lockRow?(
    scope: StoreScope,
    shardId: string,
    row: "checkpoint" | "lease",
  ): Promise<() => Promise<void>>;

  /**
   * For a store whose rows are shared with a program that knows only sequence numbers: that
   * program's read of a shard (`undefined` if there is no row), and its write. Absent if there is
   * no such program.
   */
  readonly byNumber?: NumberReader;

  /**
   * True if the store joins an application's and a stream's name to one namespace, which two scopes
   * can share. The first to open it owns it, and the other is refused. @default false: scopes are
   * separate
   */
  readonly joinsNames?: boolean;

  /** Opens a store on a client that the harness owns. If absent, list the gap. */
  openOnBorrowedClient?(): Promise<BorrowingStore>;
}

/** Another program that uses the store's rows. */
export interface NumberReader {
  read(scope: StoreScope, shardId: string): Promise<string | undefined>;
  write(scope: StoreScope, shardId: string, sequenceNumber: string): Promise<void>;
}

export interface BorrowingStore {
  readonly store: Store;
  /** Makes a round trip on the client itself. Returns whether it still works. */
  clientWorks(): Promise<boolean>;
}

export type StoreScenario = Scenario<StoreHarness>;
