import { defineProject, type UserProjectConfigExport } from "vitest/config";

// Without the condition "module", which the workspace's shared project sets: Node would load the
// SDK's bundler sources by it, and fails on them.
const conditions = ["@kc/source", "import", "node", "default"];

const project: UserProjectConfigExport = defineProject({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { include: ["test/**/*.test.ts"] },
});

export default project;
