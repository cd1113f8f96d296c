import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

/** Its many files share modules: to import them again for each file took a third of the time. */
export default mergeConfig(project, { test: { isolate: false } });
