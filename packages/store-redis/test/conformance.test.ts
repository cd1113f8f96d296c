import { storeConformance } from "@kc/conformance";
import { redisHarness } from "./support/harness.ts";

storeConformance("RedisStore on a client", () => redisHarness("client"));
storeConformance("RedisStore on a url", () => redisHarness("url"));
