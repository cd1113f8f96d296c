import { readFileSync } from "node:fs";

/** This package's version; undefined where a bundler has taken the code out of its package. */
export function version(): string | undefined {
  try {
    const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    const { name, version: own } = JSON.parse(file) as { name?: string; version?: string };
    return name === "@kc/core" ? own : undefined;
  } catch {
    // There is no such file beside a bundle. The version is for people alone.
    return undefined;
  }
}
