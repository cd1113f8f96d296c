import type { Fence, Store, StoreScope } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/**
 * What the suite needs to know of an adapter's database. Each harness is a database of its own (a
 * file, a schema, a key prefix), ready for use: where there is a schema, it has been made.
 * Disposing closes the handles that were opened, removes the data, and works while the connection
 * is broken.
 */
export interface StoreHarness extends AsyncDisposable {
  /** One more handle on the same data, as another process or a restarted one would open it. */
  open(): Promise<Store>;

  /** From now on no handle reaches the database, until `restore`. Absent = list the gaps. */
  breakConnection?(): Promise<void>;
  /** Resolves when the database can be reached again. */
  restore?(): Promise<void>;

  /**
   * Makes `fence.owner` hold the shard with `fence.epoch`, in the data itself. Needed where
   * `capabilities.fences` is true: a store without leases cannot grant one.
   */
  grantLease?(scope: StoreScope, shardId: string, fence: Fence): Promise<void>;

  /**
   * Another program's transaction locks this shard's row of the checkpoints or of the leases, until
   * what it answers with is called. Both rows exist. Absent = the database locks no rows.
   */
  lockRow?(
    scope: StoreScope,
    shardId: string,
    row: "checkpoint" | "lease",
  ): Promise<() => Promise<void>>;

  /**
   * For a store whose rows are another program's too, one that knows sequence numbers alone: what that one
   * reads of a shard (undefined = nothing), and its own write. Absent = there is no such program.
   */
  readonly byNumber?: NumberReader;

  /**
   * True where the store joins an application's and a stream's name to one namespace: two scopes can
   * meet there. The first to open it has it, and the other is refused. @default false: kept apart
   */
  readonly joinsNames?: boolean;

  /** A store on a client that the harness made and keeps. Absent = list the gap. */
  openOnBorrowedClient?(): Promise<BorrowingStore>;
}

/** Another program on the store's rows. */
export interface NumberReader {
  read(scope: StoreScope, shardId: string): Promise<string | undefined>;
  write(scope: StoreScope, shardId: string, sequenceNumber: string): Promise<void>;
}

export interface BorrowingStore {
  readonly store: Store;
  /** Makes a round trip on the client itself: does it still work? */
  clientWorks(): Promise<boolean>;
}

export type StoreScenario = Scenario<StoreHarness>;
