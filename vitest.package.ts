import { defineProject, type UserProjectConfigExport } from "vitest/config";

const conditions = ["@kc/source", "node", "import", "default"];

/** Tests run on the sources (the `@kc/source` condition), so that no test can see a stale build. */
const project: UserProjectConfigExport = defineProject({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { include: ["test/**/*.test.ts"] },
});

export default project;
