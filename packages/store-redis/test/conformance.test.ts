import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { redisHarness } from "./support/harness.ts";

storeConformance("RedisStore on a client", () => redisHarness("client"));
storeConformance("RedisStore on a client of ioredis 5", () => redisHarness("client of ioredis 5"));
storeConformance("RedisStore on a connection", () => redisHarness("connection"));

leaseStoreConformance("RedisStore's leases on a client", () => redisHarness("client"));
leaseStoreConformance("RedisStore's leases on a client of ioredis 5", () =>
  redisHarness("client of ioredis 5"),
);
leaseStoreConformance("RedisStore's leases on a connection", () => redisHarness("connection"));
