import { defineConfig } from "vitest/config";
import { ConformanceReporter } from "./vitest.conformance.ts";

export default defineConfig({
  test: {
    projects: ["packages/*", "examples/*"],
    reporters: [
      "default",
      new ConformanceReporter(),
      ...(process.env["CI"] ? [["json", { outputFile: ".vitest/report.json" }] as const] : []),
    ],
  },
});
