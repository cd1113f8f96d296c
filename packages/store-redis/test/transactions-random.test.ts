import { transactionalStoreRandomRuns } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

transactionalStoreRandomRuns("RedisStore's transactions", () => transactionalHarness("connection"));
