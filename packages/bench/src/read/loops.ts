import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CACHE, OUTPUT } from "./cache.ts";
import type { Endpoint } from "./canned.ts";
import type { Command } from "./contestant-process.ts";

const SOURCES = fileURLToPath(new URL("../../peers", import.meta.url));

/** Builds the loop over AWS's SDK for Go. Throws if `go` or a module is missing. */
export function buildGoLoop(): Command {
  const program = join(CACHE, "go-loop");
  run("go", ["build", "-o", program, "."], join(SOURCES, "go"));
  return { program, args: [] };
}

/** Builds the loop over AWS's SDK for Java. Throws if the JDK, Maven or an artifact is missing. */
export function buildJavaLoop(): Command {
  const [libraries, classes] = [join(CACHE, "java", "lib"), join(CACHE, "java", "classes")];
  const directory = join(SOURCES, "java");
  mkdirSync(classes, { recursive: true });
  const copy = ["dependency:copy-dependencies", "-DincludeScope=runtime"];
  run("mvn", ["-q", "-B", ...copy, `-DoutputDirectory=${libraries}`], directory);
  const classPath = [classes, join(libraries, "*")].join(delimiter);
  run("javac", ["-d", classes, "-cp", classPath, "Loop.java"], directory);
  return { program: "java", args: ["-cp", classPath, "Loop"] };
}

/**
 * The arguments of either loop. @param intervalMs if set, polls each shard at this interval instead
 * of reading all pages
 */
export function loopArguments(
  { url, pages: { shards, pages, tls } }: Endpoint,
  intervalMs = 0,
): string[] {
  return [url, String(shards), String(pages), tls?.cert ?? "", String(intervalMs)];
}

function run(program: string, args: readonly string[], cwd: string): void {
  mkdirSync(CACHE, { recursive: true });
  execFileSync(program, args, { cwd, stdio: OUTPUT });
}
