import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Contestant, Cost } from "../rounds.ts";
import type { Endpoint } from "./canned.ts";
import type { ContestantName } from "./contestant.ts";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * A contestant in a process of its own, which shares no memory and no compiled code with the others. A line on its
 * standard input begins a round; it prints a line with the round's `Cost`, which it measures itself.
 */
export class ContestantProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: Interface;

  constructor({ program, args }: Command) {
    this.#process = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#process.stdout! });
  }

  readonly round: Contestant = async () => {
    const exited = new AbortController();
    const lost = once(this.#process, "exit", { signal: exited.signal }).then(() => {
      throw new Error(`${this.#process.spawnargs[0]} exited in the middle of a round`);
    });
    const line = once(this.#lines, "line") as Promise<[string]>;
    this.#process.stdin!.write("round\n");
    try {
      const [cost] = await Promise.race([line, lost]);
      return JSON.parse(cost) as Cost;
    } finally {
      lost.catch(() => {});
      exited.abort();
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.stdin!.end();
    await once(this.#process, "exit");
  }
}

/** A contestant of ours: `contestant.ts` in a Node.js process. */
export function nodeContestant(
  name: ContestantName,
  { url, pages }: Endpoint,
  nodeOptions: readonly string[] = [],
): Command {
  const program = fileURLToPath(new URL("contestant.js", import.meta.url));
  return {
    program: process.execPath,
    // The SDKs warn of the end of their support.
    args: ["--no-warnings", ...nodeOptions, program, name, url, JSON.stringify(pages)],
  };
}
