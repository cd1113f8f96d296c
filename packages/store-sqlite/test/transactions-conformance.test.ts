import { TRANSACTIONAL_STORE_SCENARIOS, transactionalStoreConformance } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

const NO_SERVER = "a file has no server: processes.test.ts ends processes in a transaction";
const noServer = Object.fromEntries(
  TRANSACTIONAL_STORE_SCENARIOS.map(({ key }) => key)
    .filter((key) => key.startsWith("message."))
    .map((key) => [key, NO_SERVER]),
);

transactionalStoreConformance(
  "SqliteStore's transactions on a database",
  () => transactionalHarness("database"),
  { knownGaps: noServer },
);

const OWN =
  "the store's own connection has no double; commits are those of a database that was handed in";

transactionalStoreConformance(
  "SqliteStore's transactions on a path",
  () => transactionalHarness("path"),
  {
    knownGaps: {
      ...noServer,
      "commit.cut-before": OWN,
      "commit.cut-after": OWN,
      "overlap.cuts": OWN,
    },
  },
);
