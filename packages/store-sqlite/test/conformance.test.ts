import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { sqliteHarness } from "./support/harness.ts";

/** Handed-in connections on a rollback journal, SQLite's default: its lock keeps readers out too. */
storeConformance("SqliteStore on a database", () => sqliteHarness("database"));
leaseStoreConformance("SqliteStore's leases on a database", () => sqliteHarness("database"));

const UNLOCKABLE = "in WAL mode no lock keeps a reader out; on a rollback journal this is kept";

storeConformance("SqliteStore on a path", () => sqliteHarness("path"), {
  knownGaps: {
    "outage.getCheckpoint": UNLOCKABLE,
    "outage.getCheckpoints": UNLOCKABLE,
    "outage.nothing-lost": UNLOCKABLE,
  },
});

leaseStoreConformance("SqliteStore's leases on a path", () => sqliteHarness("path"), {
  knownGaps: {
    "lease-outage.listWorkers": UNLOCKABLE,
    "lease-outage.listLeases": UNLOCKABLE,
  },
});
