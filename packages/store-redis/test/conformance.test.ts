import { storeConformance } from "@kc/conformance";
import { redisHarness } from "./support/harness.ts";

storeConformance("RedisStore on a client", () => redisHarness("client"));
storeConformance("RedisStore on a client of ioredis 5", () => redisHarness("client of ioredis 5"));
storeConformance("RedisStore on a connection", () => redisHarness("connection"));
