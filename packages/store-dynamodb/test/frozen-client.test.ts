import { frozenClientConformance } from "@kc/conformance";
import { frozenClientHarness } from "./support/harness.ts";

frozenClientConformance("a client that stands still on DynamoDB", frozenClientHarness);
