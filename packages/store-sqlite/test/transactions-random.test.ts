import { transactionalStoreRandomRuns } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

transactionalStoreRandomRuns("SqliteStore's transactions", () => transactionalHarness("database"));
