import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import type { Task } from "./worker.ts";

const packageDirectory = fileURLToPath(new URL("../..", import.meta.url));

/**
 * `worker.ts` bundled from today's sources, core's included: a child process cannot read TypeScript,
 * and must not run a build that is older than the sources. Inside the package, to find the driver.
 */
export async function bundleWorker(): Promise<{ readonly file: string; remove(): void }> {
  const parent = join(packageDirectory, "node_modules", ".kc-test");
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "worker-"));
  const file = join(directory, "worker.mjs");
  const bundle = await rolldown({
    input: fileURLToPath(new URL("worker.ts", import.meta.url)),
    platform: "node",
    external: ["libsql", /^@aws-sdk\//, /^@smithy\//],
    resolve: { conditionNames: ["@kc/source", "node", "import", "default"] },
  });
  await bundle.write({ file, format: "esm" });
  await bundle.close();
  return { file, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A second process, started and waiting for `go`. */
export class Worker {
  readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(file: string, task: Task, path: string, name = ""): Promise<Worker> {
    const worker = new Worker(fork(file, [task, path, name], { serialization: "advanced" }));
    await worker.message("ready");
    return worker;
  }

  go(): void {
    this.child.send("go");
  }

  /** Lets it work to its end. @throws what the worker threw */
  async run(): Promise<unknown> {
    this.go();
    const answer = await this.message("answer");
    if (this.child.exitCode === null) await once(this.child, "exit");
    return answer;
  }

  /** The next message that has this key. Rejects if the process says `error`, or is gone. */
  message(key: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: object): void => {
        if (!(key in message || "error" in message)) return;
        stop();
        if (key in message) resolve(Reflect.get(message, key));
        else reject(new Error(String(Reflect.get(message, "error"))));
      };
      const onExit = (code: number | null): void => {
        stop();
        reject(new Error(`the worker is gone (${code}) before it said '${key}'`));
      };
      const stop = (): void => {
        this.child.off("message", onMessage).off("exit", onExit);
      };
      this.child.on("message", onMessage).on("exit", onExit);
    });
  }

  /** kill -9: nothing of the process runs after this. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}
