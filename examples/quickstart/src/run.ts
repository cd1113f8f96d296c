import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ConsumerArguments, ConsumerReport } from "./protocol.ts";

const PROGRAM = fileURLToPath(new URL("./consumer.js", import.meta.url));

/** One run of the consumer's process. */
export class Run {
  /** The lag of each shard that it reads, in milliseconds. */
  readonly lag = new Map<string, number>();
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(options: ConsumerArguments) {
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#exited = once(this.#child, "exit");
    this.#child.on("message", ({ shardId, lagMs }: ConsumerReport) => {
      if (lagMs === null) this.lag.delete(shardId);
      else this.lag.set(shardId, lagMs);
    });
  }

  /** Whether the process has ended by itself. */
  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Sends the signal and waits for the end. Returns `exit code 0` or `signal SIGKILL`. */
  async end(signal: "SIGINT" | "SIGKILL"): Promise<string> {
    if (!this.ended) this.#child.kill(signal);
    await this.#exited;
    const { exitCode, signalCode } = this.#child;
    return signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`;
  }
}
