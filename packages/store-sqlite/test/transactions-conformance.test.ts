import { transactionalStoreConformance } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

transactionalStoreConformance("SqliteStore's transactions on a database", () =>
  transactionalHarness("database"),
);

const OWN =
  "the store's own connection has no double; commits are those of a database that was handed in";

transactionalStoreConformance(
  "SqliteStore's transactions on a path",
  () => transactionalHarness("path"),
  {
    knownGaps: { "commit.cut-before": OWN, "commit.cut-after": OWN, "overlap.cuts": OWN },
  },
);
