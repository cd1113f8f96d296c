import { frozenClientConformance } from "@kc/conformance";
import { startRedisCluster, type RedisClusterServer } from "@kc-internal/test-services";
import { afterAll, beforeAll } from "vitest";
import { frozenClusterHarness } from "./support/cluster.ts";
import { frozenClientHarness } from "./support/harness.ts";

let cluster: RedisClusterServer;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster.close());

frozenClientConformance("a client that stands still on Redis", frozenClientHarness);
frozenClientConformance("a client that stands still on a Redis cluster", () =>
  frozenClusterHarness(cluster),
);
