import type { StdioOptions } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * The directory for downloads and builds of the benchmarks, which is not part of the repository.
 */
export const CACHE: string = fileURLToPath(
  new URL("../../node_modules/.cache/peers", import.meta.url),
);

/** Output of tools goes to standard error, because standard output is for the result. */
export const OUTPUT: StdioOptions = ["ignore", process.stderr, process.stderr];
