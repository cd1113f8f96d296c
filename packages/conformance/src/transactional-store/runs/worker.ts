import { setImmediate as turn, setTimeout as after } from "node:timers/promises";
import {
  Consumer,
  StoreError,
  type ConsumerOptions,
  type ConsumerRecord,
  type DeadLetterQueue,
  type StoreScope,
  type TransactionalStore,
  type TransactionContext,
  type TransactionHandler,
} from "@kc/core";
import type { TransactionalStoreHarness } from "../harness.ts";
import { ClaimedShards } from "./claims.ts";
import { Deferred } from "./deferred.ts";
import type { Between, Machine } from "./machine.ts";
import type { PointFault, WorkerPlan } from "./plan.ts";

/** The parts of the run that a worker needs. */
export interface World {
  readonly harness: TransactionalStoreHarness;
  readonly scope: StoreScope;
  readonly client: NonNullable<ConsumerOptions["client"]>;
  readonly isLeased: boolean;
  readonly random: () => number;
  /** Receives dead letters if the store has no table for them. */
  readonly queue: DeadLetterQueue;
  /** Whether the handler always fails for this record. */
  readonly isPoison: (text: string) => boolean;
  readonly note: (what: string) => void;
  /** Makes another worker claim the shard. */
  readonly claimFrom: (worker: Worker, shardId: string) => Promise<void>;
}

/** A simulated process: a consumer on a machine, with faults at its calls and messages. */
export class Worker implements Between {
  readonly name: string;
  readonly group = new ClaimedShards();
  /** True if it is dead, or frozen until all work is done. */
  isAway = false;
  readonly #machine: Machine;
  readonly #plan: WorkerPlan;
  readonly #world: World;
  readonly #stop = new AbortController();
  readonly #morning = new Deferred<void>();
  readonly #end = new Deferred<never>();
  #points = 0;
  #isGone = false;
  /** True when all work is done: no worker dies or freezes any more. */
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;
  #scan: Promise<void> = Promise.resolve();

  constructor(name: string, machine: Machine, plan: WorkerPlan, world: World) {
    this.name = name;
    this.#machine = machine;
    this.#plan = plan;
    this.#world = world;
    this.#end.promise.catch(() => undefined);
  }

  start(): void {
    const { harness, scope, client, isLeased, random, queue } = this.#world;
    const { store, letters } = this.#machine;
    this.#machine.between = this;
    const consumer = new Consumer<TransactionalStore>({
      stream: scope.streamName,
      application: scope.application,
      store,
      client,
      start: "TRIM_HORIZON",
      random: () => random() / 20, // Backoffs are short.
      drainTimeoutMs: 5000,
      ...(isLeased && { group: this.group }),
    });
    const { maxRecords } = this.#plan;
    const isSynchronous = harness.worksSynchronously === true;
    const handler: TransactionHandler<TransactionContext<unknown>> = (records, context) =>
      isSynchronous ? this.#handleAtOnce(records, context) : this.#handle(records, context);
    this.#scan = consumer.scanTransaction(handler, {
      signal: this.#stop.signal,
      maxRecords,
      bisect: maxRecords > 1,
      // More attempts than a record needs that does not always fail.
      retry: { maxAttempts: 6, minDelayMs: 0 },
      onFailure: letters ?? queue,
    });
    this.#scan.catch((error: unknown) => (this.#failure = { error }));
    void this.#breakAtMessages();
  }

  /** @throws the error that ended it, unless it was killed */
  check(): void {
    if (this.#failure !== undefined && !this.#isGone) throw this.#failure.error;
  }

  /** Wakes a frozen worker, which then finishes its transaction. */
  async wake(): Promise<void> {
    this.#isDone = true;
    if (this.#isGone) return;
    this.#machine.wire?.wake();
    this.#morning.resolve();
    await this.#machine.settled();
  }

  /** Stops normally. @throws the error that ended it earlier */
  async end(): Promise<void> {
    this.#stop.abort();
    this.#morning.resolve();
    const gone = { retryable: true } as const;
    this.#end.reject(new StoreError("STORE_UNAVAILABLE", "the process is gone", gone));
    this.#machine.wire?.restore();
    await this.#scan.catch(() => undefined);
    this.check();
    await this.#machine.settled();
    this.#machine.between = undefined;
  }

  async point(where: string, shardId?: string): Promise<void> {
    if (this.#isGone) await this.#end.promise;
    // A synchronous worker would finish before the others have begun.
    if (this.#world.harness.worksSynchronously === true) await after(2 * this.#world.random());
    this.#points += 1;
    const fault = this.#plan.atPoints.get(this.#points);
    if (fault !== undefined) await this.#meet(fault, where, shardId);
    if (this.#isGone) await this.#end.promise;
  }

  async #meet(fault: PointFault, where: string, shardId?: string): Promise<void> {
    const { harness, note, random, claimFrom } = this.#world;
    if (this.#isDone && (fault === "die" || fault === "sleep")) return;
    note(`${this.name}, ${where}: ${fault}`);
    if (fault === "throw" && shardId !== undefined) throw new Error("as planned");
    if (fault === "claim" && shardId !== undefined) await claimFrom(this, shardId);
    if (fault === "pause") await after(20 * random());
    if (fault === "cut") this.#machine.wire?.cut();
    if (fault === "end-sessions") await harness.endSessions!(this.#machine.wire?.ports ?? []);
    if (fault === "cut-before-commit") await harness.cutAtCommit!("before");
    if (fault === "cut-after-commit") await harness.cutAtCommit!("after");
    if (fault === "outage") {
      await harness.breakConnection!();
      await after(5 * random());
      await harness.restore!();
    }
    if (fault === "sleep") {
      this.isAway = true;
      await this.#morning.promise;
    }
    if (fault === "die") {
      this.isAway = true;
      this.#isGone = true;
      this.#machine.wire?.kill();
    }
  }

  async #handle(
    records: readonly ConsumerRecord[],
    { tx, shardId }: TransactionContext<unknown>,
  ): Promise<void> {
    const { harness, scope, isPoison } = this.#world;
    this.#begin(records);
    await this.point("at the beginning of the handler", shardId);
    for (const record of records) {
      await harness.apply(tx, this.#effectOf(record), { ...scope, shardId });
      await turn();
      await this.point(`in the handler, behind ${record.text()}`, shardId);
      if (isPoison(record.text())) throw new Error("poison");
    }
  }

  #handleAtOnce(
    records: readonly ConsumerRecord[],
    { tx, shardId }: TransactionContext<unknown>,
  ): void {
    const { harness, scope, isPoison, note } = this.#world;
    this.#begin(records);
    this.#points += 1;
    const fault = this.#plan.atPoints.get(this.#points);
    for (const record of records) {
      void harness.apply(tx, this.#effectOf(record), { ...scope, shardId });
      if (isPoison(record.text())) throw new Error("poison");
    }
    if (fault !== "throw") return;
    note(`${this.name}, in the handler: throw`);
    throw new Error("as planned");
  }

  #begin(records: readonly ConsumerRecord[]): void {
    this.#world.note(`${this.name} handles ${records.map((record) => record.text()).join(" ")}`);
  }

  #effectOf(record: ConsumerRecord): string {
    return `${this.#world.scope.application}/${record.text()}`;
  }

  /** Breaks the connection at one message after another, until the process is gone. */
  async #breakAtMessages(): Promise<void> {
    const { wire } = this.#machine;
    if (wire === undefined) return;
    for (const { fate, ...moment } of this.#plan.atMessages) {
      await (fate === "cut" ? wire.cutAt(moment) : wire.standStillAt(moment));
      if (this.#stop.signal.aborted || this.#isGone) return;
      this.#world.note(`${this.name}: ${fate} ${moment.when} its message ${moment.message}`);
      if (fate === "cut") continue;
      await after(25 * this.#world.random());
      if (!this.#isGone) wire.wake();
    }
  }
}
