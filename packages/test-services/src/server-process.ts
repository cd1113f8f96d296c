import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { signalTree } from "./process-tree.ts";
import { asUnprivileged } from "./unprivileged.ts";
import type { Workplace } from "./workplace.ts";

/** Where a server listens. All of it can be handed from one process to another. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The life of a server. What it stored survives everything but `close`. */
export interface Lifecycle extends AsyncDisposable {
  /** Shuts it down in its orderly way, as a deploy of the server would. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes: no goodbye to the clients, nothing flushed. */
  kill(): Promise<void>;
  /** SIGSTOP to all its processes: connections stay open, and new ones are accepted by the kernel. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same data and port, after `stop` or `kill`. */
  restart(): Promise<void>;
  /** Kills it and removes its data. A server that nobody closed ends with the process that began it. */
  close(): Promise<void>;
}

export interface Launch {
  readonly name: string;
  readonly workplace: Workplace;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What the server prints when it serves. */
  readonly ready: RegExp;
  readonly stopSignal: "SIGTERM" | "SIGINT";
}

const READY_WITHIN_MS = 60_000;
/** The last output of a server that is kept, for the message of an error. */
const KEPT_OUTPUT = 16_384;

/** Starts a server in its workplace; resolves when it serves. If it does not, its workplace is gone. */
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
    // It may not keep this process from ending; it ends with it.
    child.unref();
    for (const output of [child.stdout, child.stderr]) (output as Socket).unref();
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.thaw();
    running.child.kill(this.#launch.stopSignal);
    await running.exit;
  }

  async kill(): Promise<void> {
    const running = this.#running;
    this.#signal("KILL");
    await running?.exit;
  }

  freeze(): void {
    this.#signal("STOP");
  }

  thaw(): void {
    this.#signal("CONT");
  }

  async close(): Promise<void> {
    const running = this.#running;
    await this.#launch.workplace.close();
    await running?.exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #signal(signal: "STOP" | "CONT" | "KILL"): void {
    const pid = this.#running?.child.pid;
    if (pid !== undefined) signalTree(signal, pid);
  }
}

function untilReady(name: string, child: ChildProcess, ready: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (what: string): void => {
      clearTimeout(deadline);
      reject(new Error(`${name} ${what}; it said:\n${output}`));
    };
    const deadline = setTimeout(
      () => fail(`was not ready within ${READY_WITHIN_MS} ms`),
      READY_WITHIN_MS,
    );
    // Read to the end of its life: a server whose output nobody reads stands still one day.
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
      if (!ready.test(output)) return;
      clearTimeout(deadline);
      resolve();
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => fail(`exited with ${code ?? signal}`));
  });
}
