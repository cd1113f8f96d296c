import { mergeConfig } from "vitest/config";
import project from "../../vitest.alone.ts";

const SERVERS = ["postgres", "mariadb", "redis", "redis-cluster", "dynamodb"];
// Only the Go library is tried on MySQL as well.
if (process.env["KC_GO_LIBRARY"] !== undefined) SERVERS.push("mysql");

export default mergeConfig(project, {
  test: {
    maxConcurrency: 4,
    globalSetup: SERVERS.map((name) => `@kc-internal/test-services/setup/${name}`),
  },
});
