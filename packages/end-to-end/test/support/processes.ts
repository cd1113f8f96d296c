import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import type { ConsumerTask } from "./consumer.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const packageDirectory = fileURLToPath(new URL("../..", import.meta.url));
const HANGS_AFTER_MS = 180_000;
const LINE_END = 10;
const DRIVERS = ["libsql", "pg", "pg-native", /^mysql2/, "ioredis", /^@aws-sdk\//, /^@smithy\//];

/**
 * A directory with the program, bundled from today's sources: a child process cannot read
 * TypeScript. It is inside the package, where the drivers are found.
 */
export async function bundleConsumer(
  source: "consumer" | "worker" | "transaction-worker" = "consumer",
): Promise<{ directory: string; program: string }> {
  const parent = join(packageDirectory, "node_modules", ".kc-test");
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, `${source}-`));
  const bundle = await rolldown({
    input: join(here, `${source}.ts`),
    platform: "node",
    external: DRIVERS,
    resolve: { conditionNames: ["@kc/source", "node", "import", "default"] },
  });
  await bundle.write({ dir: directory, format: "esm", entryFileNames: "[name].mjs" });
  await bundle.close();
  return { directory, program: join(directory, `${source}.mjs`) };
}

export function removeBundle({ directory }: { directory: string }): void {
  rmSync(directory, { recursive: true, force: true });
}

/** One handler call, as the journal records it. */
export interface Handled {
  readonly shardId: string;
  readonly sequenceNumber: string;
}

export class ConsumerProcess {
  readonly #child: ChildProcess;
  readonly #journal: string;

  constructor(program: string, task: ConsumerTask) {
    writeFileSync(task.journal, "");
    this.#journal = task.journal;
    this.#child = spawn(process.execPath, [program, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  }

  /** What it has written so far. */
  lines(): readonly string[] {
    return readFileSync(this.#journal, "latin1").split("\n").slice(0, -1);
  }

  /** What it has handled so far, one record at a time. */
  handled(): Handled[] {
    return this.lines().map((line) => {
      const [shardId = "", sequenceNumber = ""] = line.split(" ");
      return { shardId, sequenceNumber };
    });
  }

  /** Waits until it has handled this many. @throws if it ends before, or hangs */
  async until(count: number): Promise<void> {
    const deadline = performance.now() + HANGS_AFTER_MS;
    while (this.#lines() < count) {
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}`);
      if (performance.now() > deadline) {
        throw new Error(`it has handled ${this.#lines()} of ${count}, and has stopped`);
      }
      await after(20);
    }
  }

  /** How long the journal is, without reading its lines: the one process serves the records too. */
  #lines(): number {
    let lines = 0;
    for (const byte of readFileSync(this.#journal)) if (byte === LINE_END) lines += 1;
    return lines;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode === null) {
      this.#child.kill(signal);
      await once(this.#child, "exit");
    }
    return this.#child.exitCode;
  }
}
