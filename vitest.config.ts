import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { ConformanceReporter } from "./vitest.conformance.ts";

export default defineConfig({
  test: {
    projects: ["packages/*", "examples/*"],
    // Many tests wait for servers: two at a time even where there are two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    reporters: [
      "default",
      new ConformanceReporter(),
      ...(process.env["CI"] ? [["json", { outputFile: ".vitest/report.json" }] as const] : []),
    ],
  },
});
