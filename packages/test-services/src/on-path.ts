import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Servers are often in directories that only root has on its path. */
const DIRECTORIES = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  "/usr/sbin",
  "/usr/local/sbin",
];

export function onPath(name: string): string | undefined {
  return DIRECTORIES.map((directory) => join(directory, name)).find((path) => existsSync(path));
}
