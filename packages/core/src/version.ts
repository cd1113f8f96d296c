import { readFileSync } from "node:fs";

/** The version of this package; undefined if a bundler has moved the code out of the package. */
export function version(): string | undefined {
  try {
    const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    const { name, version: own } = JSON.parse(file) as { name?: string; version?: string };
    return name === "@kc/core" ? own : undefined;
  } catch {
    // A bundle has no such file. The version is informational only.
    return undefined;
  }
}
