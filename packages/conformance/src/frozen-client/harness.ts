import type { LeaseStore } from "@kc/core";
import type { Scenario } from "../scenario.ts";
import type { ServerAddress } from "../wire.ts";

/**
 * A database of its own on a real server, empty at first: the suite calls `setup()`, if there is one. Disposing
 * closes the handles that were opened, and removes the data.
 */
export interface FrozenClientHarness extends AsyncDisposable {
  /** One; several, where a client is connected to the nodes of a cluster. */
  readonly servers: readonly ServerAddress[];
  /** One more handle on the same data, straight to the servers. */
  open(): Promise<LeaseStore>;
  /** The same over connections of its own to these addresses, which lead to the servers in turn. */
  openAt(addresses: readonly ServerAddress[]): Promise<LeaseStore>;
  /**
   * The lease's length in milliseconds: the time within which other workers must have gone on.
   * @default 10000
   */
  readonly leaseMs?: number;
}

export type FrozenClientScenario = Scenario<FrozenClientHarness>;
