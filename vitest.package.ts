import { fileURLToPath } from "node:url";
import { defineProject, type UserProjectConfigExport } from "vitest/config";

// "import" and "default" hold in any case. Named here they would also hold where a dependency calls
// `require`, and some (pg) would then load modules that they cannot use.
const conditions = ["@kc/source", "node"];

/** Tests run on the sources (the `@kc/source` condition), so that no test can see a stale build. */
const project: UserProjectConfigExport = defineProject({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: [fileURLToPath(new URL("vitest.warnings.ts", import.meta.url))],
    // The SDK's word on Node 20 is known: it is tested as the floor.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    // Against hangs alone: nothing here is proved by how fast a machine is. A test
    // has a limit of its own only if it needs more.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // By default a poll gives up after a second, in which a busy machine may give a process no turn.
    expect: { poll: { timeout: 30_000, interval: 5 } },
  },
});

export default project;
