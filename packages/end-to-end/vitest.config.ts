import { mergeConfig } from "vitest/config";
import project from "../../vitest.alone.ts";

const SERVERS = ["postgres", "mariadb", "redis", "redis-cluster", "dynamodb"];

export default mergeConfig(project, {
  test: {
    maxConcurrency: 3,
    globalSetup: SERVERS.map((name) => `@kc-internal/test-services/setup/${name}`),
  },
});
