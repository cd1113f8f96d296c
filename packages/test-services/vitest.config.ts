import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

// As an adapter's project names the servers that its tests share.
export default mergeConfig(project, {
  test: {
    // On a busy machine a server takes its time to start.
    testTimeout: 60_000,
    globalSetup: [
      "@kc-internal/test-services/setup/postgres",
      "@kc-internal/test-services/setup/redis",
    ],
  },
});
