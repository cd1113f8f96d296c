import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./worker.js", import.meta.url));

/** One process of worker.ts. */
export class WorkerProcess {
  readonly #log: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(directory: string, args: readonly string[]) {
    this.#log = join(mkdtempSync(join(directory, "worker-")), "log");
    const log = openSync(this.#log, "a");
    this.#child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd: directory,
      env: {
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "any",
        AWS_SECRET_ACCESS_KEY: "any",
        ...process.env,
      },
      stdio: ["ignore", log, log],
      // The parent process forwards Ctrl-C.
      detached: true,
    });
    closeSync(log);
    this.#exited = once(this.#child, "exit");
  }

  /** The process's output. */
  get log(): string {
    return readFileSync(this.#log, "utf8");
  }

  /** A process that is still starting does not handle signals yet. */
  get hasStarted(): boolean {
    return this.log.includes("joined the group");
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Sends the signal and waits for the end. @throws if the process ends in another way */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (!this.hasEnded) this.#child.kill(signal);
    await this.#exited;
    const { exitCode, signalCode } = this.#child;
    const isExpected = signal === "SIGTERM" ? exitCode === 0 : signalCode === "SIGKILL";
    if (!isExpected)
      throw new Error(`a worker ended with ${signalCode ?? `exit code ${exitCode}`}`);
  }
}
