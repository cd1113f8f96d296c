import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LeaseGroupStatus } from "@kc/core";

const PROGRAM = fileURLToPath(new URL("./worker.js", import.meta.url));

/** One process of worker.ts. */
export class WorkerProcess {
  readonly id: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(options: {
    readonly id: string;
    readonly directory: string;
    readonly args: readonly string[];
    readonly onStatus: (status: LeaseGroupStatus) => void;
  }) {
    const { id, directory, args, onStatus } = options;
    this.id = id;
    const log = openSync(join(directory, `${id}.log`), "a");
    this.#child = spawn(process.execPath, [PROGRAM, ...args, "--id", id], {
      cwd: directory,
      env: {
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "any",
        AWS_SECRET_ACCESS_KEY: "any",
        ...process.env,
      },
      stdio: ["ignore", log, log, "ipc"],
      // The parent process forwards Ctrl-C.
      detached: true,
    });
    this.#exited = once(this.#child, "exit");
    this.#child.on("message", onStatus);
  }

  /** Whether the process has ended by itself. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Sends the signal and waits for the end. Returns `exit code 0` or `SIGKILL`. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<string> {
    if (!this.hasEnded) this.#child.kill(signal);
    await this.#exited;
    const { exitCode, signalCode } = this.#child;
    return signalCode ?? `exit code ${exitCode}`;
  }
}
