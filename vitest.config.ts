import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { ConformanceReporter } from "./vitest.conformance.ts";
import { LongFirst } from "./vitest.sequencer.ts";

export default defineConfig({
  test: {
    projects: ["packages/*", "examples/*"],
    // Many tests wait for servers: two at a time even where there are two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongFirst },
    reporters: [
      "default",
      new ConformanceReporter(),
      ...(process.env["CI"] ? [["json", { outputFile: ".vitest/report.json" }] as const] : []),
    ],
  },
});
