import { mergeConfig } from "vitest/config";
import project from "./vitest.package.ts";

/**
 * For tests that start many processes and let them race with leases: they come last, and one file at
 * a time. A process that gets no turn for a lease's duration loses its shards, as it should.
 */
export default mergeConfig(project, {
  test: { sequence: { groupOrder: 1 }, maxWorkers: 1 },
});
