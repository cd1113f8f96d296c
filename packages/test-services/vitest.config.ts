import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

export default mergeConfig(project, {
  test: {
    globalSetup: ["test/every-server.ts"],
    // On a busy machine a server takes its time to start.
    testTimeout: 60_000,
  },
});
