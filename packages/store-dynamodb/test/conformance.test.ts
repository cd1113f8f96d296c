import { storeConformance } from "@kc/conformance";
import { dynamodbHarness } from "./support/harness.ts";

storeConformance("DynamoDBStore", dynamodbHarness);
