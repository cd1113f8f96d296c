import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

// The programs that tests start side by side (compilers, bundlers) share two cores with other files.
export default mergeConfig(project, { test: { maxConcurrency: 3 } });
