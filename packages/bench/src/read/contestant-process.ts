import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Contestant, Cost } from "../rounds.ts";
import type { Endpoint } from "./canned.ts";
import type { ContestantName } from "./contestant.ts";
import type { PollerName } from "./poller.ts";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * A contestant in a separate process, which shares no memory and no compiled code with the others.
 * It answers each line on standard input with a line with a `Cost` that it measures itself; for
 * `round`, the cost of a round.
 */
export class ContestantProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: Interface;

  constructor({ program, args }: Command) {
    this.#process = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#process.stdout! });
  }

  readonly round: Contestant = () => this.ask("round");

  async ask(request: string): Promise<Cost> {
    const exited = new AbortController();
    const lost = once(this.#process, "exit", { signal: exited.signal }).then(() => {
      throw new Error(`${this.#process.spawnargs[0]} exited in the middle of a ${request}`);
    });
    const line = once(this.#lines, "line") as Promise<[string]>;
    this.#process.stdin!.write(`${request}\n`);
    try {
      const [cost] = await Promise.race([line, lost]);
      return JSON.parse(cost) as Cost;
    } finally {
      lost.catch(() => {});
      exited.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.stdin!.end();
    await once(this.#process, "exit");
  }
}

/** Runs `contestant.ts` in a Node.js process. */
export function nodeContestant(
  name: ContestantName,
  endpoint: Endpoint,
  nodeOptions: readonly string[] = [],
): Command {
  return node("contestant.js", name, endpoint, nodeOptions);
}

/** Runs `poller.ts` in a Node.js process. */
export function nodePoller(name: PollerName, endpoint: Endpoint): Command {
  return node("poller.js", name, endpoint, []);
}

function node(
  file: string,
  name: string,
  { url, pages }: Endpoint,
  nodeOptions: readonly string[],
): Command {
  const program = fileURLToPath(new URL(file, import.meta.url));
  return {
    program: process.execPath,
    // Hides the SDKs' warnings about the end of their support.
    args: ["--no-warnings", ...nodeOptions, program, name, url, JSON.stringify(pages)],
  };
}
