import { transactionalStoreRandomRuns } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

transactionalStoreRandomRuns("DynamoDBStore's transactions", () => transactionalHarness(true));
