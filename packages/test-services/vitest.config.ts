import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

export default mergeConfig(project, { test: { globalSetup: ["test/every-server.ts"] } });
