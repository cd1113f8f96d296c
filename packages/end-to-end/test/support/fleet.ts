import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { signalTree } from "@kc-internal/test-services";
import type { DeadLetterTable, LeaseStore, StoreScope } from "@kc/core";
import Libsql from "libsql";
import { cableTo, type Cable } from "./cable.ts";
import type { StoreAddress } from "./stores.ts";
import { judge, readJournal, type Verdict } from "./verdict.ts";
import { LEASE_MS, type WorkerTask } from "./worker-task.ts";

const SCOPE: StoreScope = { application: "billing", streamName: "orders" };
/** A lease, and what a busy machine may need beyond it to look, to evict and to claim. */
const TAKEN_OVER_WITHIN_MS = LEASE_MS + 30_000;
const HANGS_AFTER_MS = 180_000;

interface Worker {
  readonly id: string;
  readonly child: ChildProcess;
  readonly cable: Cable;
}

export interface FleetOptions {
  readonly program: string;
  readonly directory: string;
  readonly endpoint: string;
  readonly address: StoreAddress;
  /** From a process to the store, one way. */
  readonly latencyMs: number;
  /** The same store, for this process. */
  readonly store: LeaseStore & { deadLetters(): DeadLetterTable };
  /** Of a shard in one process, with a handler that fails at random. @default one after another, and none fails */
  readonly concurrency: number | undefined;
}

/** The processes of one application, and what is done to them. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #workers: Worker[] = [];
  readonly #violent = new Set<string>();
  readonly #cutOff = new Set<string>();
  readonly #resumedAt = new Map<string, bigint>();
  /** How far each journal was read, and the records that are done by what was read. */
  readonly #readTo = new Map<string, number>();
  readonly #through = new Set<string>();
  readonly exitCodes = new Map<string, number | null>();
  readonly #ids: string[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { address, latencyMs, endpoint, program, concurrency } = this.#options;
    const id = `${address.kind.replace(" ", "-")}-${this.#ids.length + 1}`;
    this.#ids.push(id);
    const journal = this.#journal(id);
    writeFileSync(journal, "");
    const cable = await cableTo(address, latencyMs);
    const task: WorkerTask = {
      endpoint,
      store: cable.address,
      workerId: id,
      journal,
      ...(concurrency === undefined ? {} : { concurrency }),
    };
    const child = spawn(process.execPath, [program, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    this.#workers.push({ id, child, cable });
  }

  async kill(): Promise<void> {
    const [oldest] = this.#workers;
    this.#violent.add(oldest!.id);
    oldest!.child.kill("SIGKILL");
    await once(oldest!.child, "exit");
    this.#workers.shift();
    await this.start();
  }

  /**
   * One process stands still, another one's connections to the store stay open and carry nothing,
   * until the others have all their shards. Then both continue, and come back as new incarnations.
   */
  async silence(): Promise<void> {
    const [frozen, ...others] = this.#workers;
    const cutOff = others.findLast(({ cable }) => cable.proxy !== undefined);
    const silent = cutOff === undefined ? [frozen!] : [frozen!, cutOff];
    await this.#untilHolding(silent);
    const before = await this.#incarnations();
    this.#violent.add(frozen!.id);
    this.#freeze(frozen!);
    if (cutOff !== undefined) this.#cutOff.add(cutOff.id);
    cutOff?.cable.proxy?.blackhole();
    await this.#untilTakenOver(silent);
    this.#resumedAt.set(frozen!.id, process.hrtime.bigint());
    frozen!.child.kill("SIGCONT");
    await cutOff?.cable.proxy?.restore();
    await this.#untilJoined(silent, new Set(before.values()));
  }

  /** One stops cleanly, and another takes its place: a step of a rolling deploy. */
  async replace(): Promise<void> {
    const worker = this.#workers.find(({ id }) => !this.#violent.has(id))!;
    await this.start();
    await this.#stop(worker);
  }

  async untilReady(): Promise<void> {
    for (const { id, child } of this.#workers) {
      await this.#until(`${id} has started`, HANGS_AFTER_MS, async () => {
        if (child.exitCode !== null) throw new Error(`${id} ended with ${child.exitCode}`);
        return readFileSync(this.#journal(id)).length > 0 ? [] : [id];
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => this.#stop(worker)));
  }

  end(): void {
    for (const { child } of this.#workers) child.kill("SIGKILL");
  }

  /** Is every record done, or does it have a dead letter? It reads what was written since it was asked last. */
  async isThrough(put: ReadonlyMap<string, number>): Promise<boolean> {
    for (const id of this.#ids) {
      const journal = readFileSync(this.#journal(id));
      const from = this.#readTo.get(id) ?? 0;
      const to = journal.lastIndexOf("\n") + 1;
      this.#readTo.set(id, to);
      for (const line of journal.toString("latin1", from, to).split("\n")) {
        if (line.startsWith("end ")) this.#through.add(line.split(" ")[4]!);
      }
    }
    let records = 0;
    for (const count of put.values()) records += count;
    if (this.#through.size === records) return true;
    for (const letter of await this.#letters()) this.#through.add(letter);
    return this.#through.size === records;
  }

  async judge(put: ReadonlyMap<string, number>): Promise<Verdict> {
    const handlings = this.#ids.flatMap((id) => {
      return readJournal(id, readFileSync(this.#journal(id), "latin1"));
    });
    return judge(put, handlings, await this.#letters(), {
      violent: this.#violent,
      cutOff: this.#cutOff,
      resumedAt: this.#resumedAt,
    });
  }

  /** The records that have a dead letter, as `key:number`. */
  async #letters(): Promise<ReadonlySet<string>> {
    const { concurrency, store } = this.#options;
    const found = new Set<string>();
    if (concurrency === undefined) return found;
    const table = store.deadLetters();
    let next: string | undefined;
    do {
      const page = await table.list({
        limit: 1000,
        ...(next === undefined ? {} : { after: next }),
      });
      for (const { data } of page.letters) found.add(Buffer.from(data!).toString().split(" ")[0]!);
      next = page.next;
    } while (next !== undefined);
    return found;
  }

  #journal(id: string): string {
    return join(this.#options.directory, `${id}.journal`);
  }

  /**
   * Not within a write of SQLite's: the file has one lock, and who stands still with it keeps the
   * others out until it continues. So it is stopped while this process has the lock.
   */
  #freeze({ child }: Worker): void {
    const { address } = this.#options;
    const file =
      address.kind === "sqlite" ? new Libsql(address.path, { timeout: 60_000 }) : undefined;
    file?.exec("BEGIN IMMEDIATE");
    signalTree("STOP", child.pid!);
    file?.exec("ROLLBACK");
    file?.close();
  }

  async #incarnations(): Promise<ReadonlyMap<string, string>> {
    const { workers } = await this.#options.store.listWorkers(SCOPE);
    return new Map(workers.map(({ workerId, incarnation }) => [workerId, incarnation]));
  }

  /** Until each of them is a member, under an incarnation that is not listed. */
  async #untilJoined(workers: readonly Worker[], old: ReadonlySet<string>): Promise<void> {
    await this.#until("all are members of the group", HANGS_AFTER_MS, async () => {
      const now = await this.#incarnations();
      const isBack = ({ id }: Worker): boolean => now.has(id) && !old.has(now.get(id)!);
      return workers.filter((worker) => !isBack(worker)).map(({ id }) => id);
    });
  }

  async #untilHolding(workers: readonly Worker[]): Promise<void> {
    await this.#until("each of them has shards", HANGS_AFTER_MS, async () => {
      const owners = await this.#owners();
      return workers.map(({ id }) => id).filter((id) => !owners.has(id));
    });
  }

  /** Until the others have each of its shards that is not at its end. */
  async #untilTakenOver(workers: readonly Worker[]): Promise<void> {
    await this.#until("their shards are taken over", TAKEN_OVER_WITHIN_MS, async () => {
      const owners = await this.#owners();
      return workers.map(({ id }) => id).filter((id) => owners.has(id));
    });
  }

  /** Who holds shards that are not at their ends. */
  async #owners(): Promise<ReadonlySet<string | undefined>> {
    const { leases } = await this.#options.store.listLeases(SCOPE);
    const held = leases.filter(({ checkpoint }) => checkpoint?.kind !== "shard-end");
    return new Set(held.map(({ owner }) => owner?.split("#")[0]));
  }

  /** Looks until nothing is left. @throws with what is left, after so long */
  async #until(what: string, ms: number, look: () => Promise<readonly unknown[]>): Promise<void> {
    const deadline = performance.now() + ms;
    for (;;) {
      const left = await look();
      if (left.length === 0) return;
      if (performance.now() > deadline) {
        throw new Error(`not within ${ms} ms: ${what}; but not ${JSON.stringify(left)}`);
      }
      await after(20);
    }
  }

  async #stop(worker: Worker): Promise<void> {
    worker.child.kill("SIGTERM");
    await once(worker.child, "exit");
    this.exitCodes.set(worker.id, worker.child.exitCode);
    this.#workers.splice(this.#workers.indexOf(worker), 1);
  }
}
