import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { signalTree, type TreeSignal, untilGone } from "./process-tree.ts";
import { asUnprivileged } from "./unprivileged.ts";
import type { Workplace } from "./workplace.ts";

/** A server's address. It can be passed to another process. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The lifecycle of a server. Its data survives everything except `close`. */
export interface Lifecycle extends AsyncDisposable {
  /** Shuts it down normally, as a deploy of the server would. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes: clients are not notified, and nothing is flushed. */
  kill(): Promise<void>;
  /** SIGSTOP to all its processes: connections stay open, and new ones are accepted by the kernel. */
  freeze(): void;
  thaw(): void;
  /** Starts it again with the same data and port, after `stop` or `kill`. */
  restart(): Promise<void>;
  /** Kills it and removes its data. A server that was not closed ends with the process that started it. */
  close(): Promise<void>;
}

export interface Launch {
  readonly name: string;
  readonly workplace: Workplace;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the server is ready, by its output so far or by a request. Called repeatedly. */
  readonly ready: (output: string) => boolean | Promise<boolean>;
  readonly stopSignal: "SIGTERM" | "SIGINT";
}

const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 10;
/** How much of a server's last output is kept for error messages. */
const KEPT_OUTPUT = 16_384;

/**
 * Starts a server in its workplace; resolves when it is ready. If it fails, its workplace is
 * removed.
 */
export async function launch(description: Launch): Promise<Lifecycle> {
  const server = new ServerProcess(description);
  try {
    await server.restart();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

class ServerProcess implements Lifecycle {
  readonly #launch: Launch;
  #running: { readonly child: ChildProcess; readonly exit: Promise<unknown> } | undefined;

  constructor(description: Launch) {
    this.#launch = description;
  }

  async restart(): Promise<void> {
    const { name, workplace, env, ready } = this.#launch;
    if (this.#running !== undefined) throw new Error(`${name} is already running`);
    const [program, ...args] = asUnprivileged(this.#launch.command) as [string, ...string[]];
    const child = spawn(program, args, {
      cwd: workplace.directory,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    const exit = new Promise<void>((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", () => resolve());
    }).then(() => {
      this.#running = undefined;
      workplace.vacate();
    });
    this.#running = { child, exit };
    if (child.pid !== undefined) workplace.occupy(child.pid);
    await untilReady(name, child, ready);
    // It must not keep this process alive; it ends with this process.
    child.unref();
    for (const output of [child.stdout, child.stderr]) (output as Socket).unref();
  }

  async stop(): Promise<void> {
    const end = this.#end();
    this.thaw();
    this.#running?.child.kill(this.#launch.stopSignal);
    await end;
  }

  async kill(): Promise<void> {
    const end = this.#end();
    const killed = this.#signal("KILL");
    await end;
    await untilGone(killed);
  }

  freeze(): void {
    this.#signal("STOP");
  }

  thaw(): void {
    this.#signal("CONT");
  }

  async close(): Promise<void> {
    const end = this.#end();
    await this.#launch.workplace.close();
    await end;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Waits for the end of the running server; this process does not end before. */
  async #end(): Promise<void> {
    this.#running?.child.ref();
    await this.#running?.exit;
  }

  #signal(signal: TreeSignal): readonly number[] {
    const pid = this.#running?.child.pid;
    return pid === undefined ? [] : signalTree(signal, pid);
  }
}

/** Rejects with the server's output if it ends, or the deadline passes, before it is ready. */
async function untilReady(
  name: string,
  child: ChildProcess,
  ready: Launch["ready"],
): Promise<void> {
  let output = "";
  let end: string | undefined;
  // Reads until it ends: a server whose output is not read blocks when the pipe is full.
  const read = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  child.once("error", (error) => (end = error.message));
  child.once("exit", (code, signal) => (end = `it exited with ${code ?? signal}`));
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await ready(output))) {
    if (performance.now() > deadline) end = `not within ${READY_WITHIN_MS} ms`;
    if (end !== undefined) throw new Error(`${name} did not start: ${end}. It said:\n${output}`);
    await sleep(LOOK_EVERY_MS);
  }
}
