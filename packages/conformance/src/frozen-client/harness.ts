import type { LeaseStore } from "@kc/core";
import type { Scenario } from "../scenario.ts";
import type { ServerAddress } from "../wire.ts";

/**
 * A separate, empty database on a real server: the suite calls `setup()`, if the store has it.
 * Disposing closes the handles that were opened, and removes the data.
 */
export interface FrozenClientHarness extends AsyncDisposable {
  /** One server, or several if a client is connected to the nodes of a cluster. */
  readonly servers: readonly ServerAddress[];
  /** Opens another handle on the same data, connected directly to the servers. */
  open(): Promise<LeaseStore>;
  /**
   * The same with its own connections to these addresses, which lead to the servers in the same
   * order.
   */
  openAt(addresses: readonly ServerAddress[]): Promise<LeaseStore>;
  /**
   * The lease's duration in milliseconds, within which other workers must be able to continue.
   * @default 10000
   */
  readonly leaseMs?: number;
}

export type FrozenClientScenario = Scenario<FrozenClientHarness>;
