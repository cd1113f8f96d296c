import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

const SERVERS = ["postgres", "mariadb", "redis", "redis-cluster", "dynamodb"];

export default mergeConfig(project, {
  test: { globalSetup: SERVERS.map((name) => `@kc-internal/test-services/setup/${name}`) },
});
