import type { LeaseStore } from "../checkpoints/lease-store.ts";
import type { Store } from "../checkpoints/store.ts";

export function isLeaseStore(store: Store | undefined): store is LeaseStore {
  return store?.capabilities.leases === true;
}
