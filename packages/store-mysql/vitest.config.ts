import { mergeConfig } from "vitest/config";
import project from "../../vitest.package.ts";

const setup = (name: string): string => `@kc-internal/test-services/setup/${name}`;

export default mergeConfig(project, {
  test: { globalSetup: [setup("mariadb"), setup("mysql")] },
});
