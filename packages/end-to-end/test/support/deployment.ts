import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as after } from "node:timers/promises";
import { signalTree } from "@kc-internal/test-services";
import Libsql from "libsql";
import type { TransactionTask } from "./transaction-task.ts";

/** Against hangs alone. */
const HANGS_AFTER_MS = 180_000;
/** Of each process in turn: no two cut the same records into the same batches. */
const BATCHES = [7, 11];

export interface DeploymentOptions {
  readonly program: string;
  readonly task: Omit<TransactionTask, "workerId" | "maxRecords">;
  /** Leases: each shard has one process. Otherwise each process reads all shards. */
  readonly leases: boolean;
  readonly random: () => number;
}

interface Worker {
  readonly id: string;
  readonly child: ChildProcess;
  /** It knows its signals, or has ended. */
  readonly ready: Promise<unknown>;
}

/** The processes of one application, and what is done to them. */
export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #workers: Worker[] = [];
  #started = 0;

  constructor(options: DeploymentOptions) {
    this.#options = options;
  }

  start(): void {
    const { program, task, leases } = this.#options;
    const id = `worker-${this.#started}`;
    const maxRecords = BATCHES[this.#started % BATCHES.length]!;
    const own: TransactionTask = { ...task, maxRecords, ...(leases && { workerId: id }) };
    const child = spawn(process.execPath, [program, JSON.stringify(own)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const ready = Promise.race([once(child, "message"), once(child, "exit")]);
    this.#workers.push({ id, child, ready });
    this.#started += 1;
  }

  /** All of them run. */
  async ready(): Promise<void> {
    for (const { ready } of this.#workers) await ready;
  }

  /** SIGKILL to one of them; another one takes its place. */
  async kill(): Promise<void> {
    const [{ child }] = this.#workers.splice(this.#anyOf(this.#workers), 1) as [Worker];
    child.kill("SIGKILL");
    await once(child, "exit");
    this.start();
  }

  /** One of them stands still until the others have done all that there was to do, and then goes on. */
  async freeze(isDone: () => Promise<boolean>): Promise<void> {
    const { id, child } = this.#workers[this.#anyOf(this.#workers)]!;
    this.#stop(child);
    await this.until(`the others do the work of ${id}`, isDone);
    child.kill("SIGCONT");
  }

  /** @throws if it does not hold in time, or a process ends by itself */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + HANGS_AFTER_MS;
    while (!(await holds())) {
      for (const { id, child } of this.#workers) {
        if (child.exitCode !== null)
          throw new Error(`${id} ended with exit code ${child.exitCode}`);
      }
      if (performance.now() > deadline) throw new Error(`not within ${HANGS_AFTER_MS} ms: ${what}`);
      await after(20);
    }
  }

  /** Clean ends. @throws if one of them has another one */
  async end(): Promise<void> {
    for (const { id, child, ready } of this.#workers) {
      await ready;
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      if (child.exitCode !== 0) throw new Error(`${id} ended with exit code ${child.exitCode}`);
    }
  }

  destroy(): void {
    for (const { child } of this.#workers) child.kill("SIGKILL");
  }

  #anyOf(workers: readonly Worker[]): number {
    return Math.floor(this.#options.random() * workers.length);
  }

  /** Not while it has the lock of SQLite's file, since the others need it. */
  #stop(child: ChildProcess): void {
    const { store } = this.#options.task;
    const file = store.kind === "sqlite" ? new Libsql(store.path, { timeout: 60_000 }) : undefined;
    file?.exec("BEGIN IMMEDIATE");
    signalTree("STOP", child.pid!);
    file?.exec("ROLLBACK");
    file?.close();
  }
}
