import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const MODULE = "github.com/harlow/kinesis-consumer";
const SOURCE = new URL("./go-library/main.go", import.meta.url);
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/go-library", import.meta.url));
const HANGS_AFTER_MS = 60_000;

const run = promisify(execFile);

/** What the program reads by: its command line. */
export interface GoTask {
  readonly kind: "postgres" | "mysql" | "redis" | "dynamodb";
  readonly application: string;
  readonly stream: string;
  readonly endpoint: string;
  /** As the library's store wants it. */
  readonly address: string;
  readonly table: string;
}

export interface GoRun {
  /** `shard data`, in the order of the shards' ids; within a shard in the order of reading. */
  readonly records: readonly string[];
  readonly failures: readonly string[];
}

/**
 * The program for one version of the library, built by the `go` on the path, which downloads the
 * modules. An absolute path stands for a checkout of the library. Answers with the program's path.
 */
export async function buildGoConsumer(version: string): Promise<string> {
  const directory = join(CACHE, version.replaceAll(/[^\w.]/g, "_"));
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const source = await readFile(SOURCE, "utf8");
  // The module has another name since v0.3.7.
  const redis = version === "v0.3.6" ? "github.com/go-redis/redis/v9" : undefined;
  await writeFile(
    join(directory, "main.go"),
    redis === undefined ? source : source.replace("github.com/redis/go-redis/v9", redis),
  );
  const go = (...args: string[]) => run("go", args, { cwd: directory });
  await go("mod", "init", "go-library");
  if (isAbsolute(version)) {
    await go("mod", "edit", `-require=${MODULE}@v0.0.0`, `-replace=${MODULE}=${version}`);
  } else {
    await go("get", `${MODULE}@${version}`);
  }
  await go("build", "-mod=mod", "-o", "consumer", ".");
  return join(directory, "consumer");
}

/** Reads until nothing comes any more. */
export async function readByGo(program: string, task: GoTask): Promise<GoRun> {
  const { kind, application, stream, endpoint, address, table } = task;
  const args = [kind, application, stream, endpoint, address, table];
  const output = await run(program, args, { timeout: HANGS_AFTER_MS }).then(
    ({ stdout }) => stdout,
    (error: unknown) => `${(error as { stdout: string }).stdout}\nFAIL ${String(error)}`,
  );
  const lines = output.split("\n").filter((line) => line !== "");
  const records = lines.filter((line) => line.startsWith("R ")).map((line) => line.slice(2));
  return {
    records: records.toSorted((a, b) => shardOf(a).localeCompare(shardOf(b))),
    failures: lines.filter((line) => !line.startsWith("R ")),
  };
}

const shardOf = (line: string): string => line.split(" ")[0]!;
