import type { StdioOptions } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What is downloaded or built for the benchmarks: not part of the repository. */
export const CACHE: string = fileURLToPath(
  new URL("../../node_modules/.cache/peers", import.meta.url),
);

/** What tools print goes to standard error: standard output is for the result. */
export const OUTPUT: StdioOptions = ["ignore", process.stderr, process.stderr];
