import { setTimeout as after } from "node:timers/promises";
import {
  checkpointAt,
  compareCheckpoints,
  MemoryDeadLetterQueue,
  type StoreScope,
  type TransactionalStore,
  type TransactionalWrite,
} from "@kc/core";
import { expect } from "vitest";
import { onceRecovered } from "../../expectations.ts";
import { expectEffects, transact } from "../fixtures.ts";
import type { TransactionalStoreHarness } from "../harness.ts";
import { Leases } from "./claims.ts";
import type { Machine } from "./machine.ts";
import { planOf, type Possible } from "./plan.ts";
import type { FilledStream } from "./stream.ts";
import { Worker, type World } from "./worker.ts";

/** Only a protection against hangs. */
const HANGS_AFTER_MS = 60_000;

/** The state that successive runs share. */
export interface Place {
  readonly harness: TransactionalStoreHarness;
  readonly possible: Possible;
  readonly stream: FilledStream;
  readonly machines: readonly Machine[];
  /** A process without faults. */
  readonly observer: TransactionalStore;
}

/**
 * Runs a seed: workers store the effects of all records in spite of faults. Then all of them end,
 * and effects and checkpoints are counted. @throws AssertionError with the list of events
 */
export async function runSeed(place: Place, seed: number): Promise<void> {
  const began = performance.now();
  const story: string[] = [];
  const note = (what: string): void => {
    story.push(`${(performance.now() - began).toFixed(1).padStart(7)} ms  ${what}`);
  };
  const plan = planOf(seed, place.possible);
  const application = `run-${seed}`;
  const scope: StoreScope = { application, streamName: place.stream.name };
  try {
    await new Run(place, plan, scope, note).run();
  } catch (error) {
    const how = plan.isLeased ? "under leases" : "each reading all shards";
    const sizes = plan.workers.map(({ maxRecords }) => maxRecords).join(", ");
    const title = `SEED=${seed} RUNS=1: ${sizes} records a batch, ${how}, poison ${plan.poison}`;
    const why = error instanceof Error ? error.message : String(error);
    return expect.fail([title, ...story, why].join("\n"));
  }
}

class Run {
  readonly #place: Place;
  readonly #plan: ReturnType<typeof planOf>;
  readonly #scope: StoreScope;
  readonly #leases: Leases<Worker>;
  readonly #workers: readonly Worker[];
  readonly #queue = new MemoryDeadLetterQueue();
  readonly #poison: string | undefined;

  constructor(
    place: Place,
    plan: ReturnType<typeof planOf>,
    scope: StoreScope,
    note: World["note"],
  ) {
    const { harness, stream, machines } = place;
    this.#place = place;
    this.#plan = plan;
    this.#scope = scope;
    this.#leases = new Leases(harness, scope);
    this.#poison = stream.shards[0]!.records[plan.poison]?.text;
    const world: World = {
      harness,
      scope,
      client: stream.client,
      isLeased: plan.isLeased,
      random: plan.random,
      queue: this.#queue,
      isPoison: (text) => text === this.#poison,
      note,
      claimFrom: (worker, shardId) => this.#claim(shardId, worker),
    };
    this.#workers = plan.workers.map(
      (each, index) => new Worker(`worker ${index}`, machines[index]!, each, world),
    );
  }

  async run(): Promise<void> {
    const { machines } = this.#place;
    for (const worker of this.#workers) worker.start();
    await soon("all records are done", this.#untilDone());
    await soon("who slept finishes", Promise.all(this.#workers.map((each) => each.wake())));
    await soon("all workers end", Promise.all(this.#workers.map((each) => each.end())));
    await this.#judge();
    // No row, connection or turn may still be held.
    const free = this.#place.stream.shards.map(({ id }) => this.#expectFree(id));
    const whole = machines.map(({ store }, index) => this.#put(store, `machine ${index}`));
    await soon("nothing is held", Promise.all([...free, ...whole]));
  }

  /**
   * Waits until all shards are at their last records. With leases, each shard has a worker until
   * then.
   */
  async #untilDone(): Promise<void> {
    const { observer, stream } = this.#place;
    for (;;) {
      for (const worker of this.#workers) worker.check();
      const stored = await onceRecovered(() => observer.getCheckpoints(this.#scope));
      const left = stream.shards.filter(({ id, last }) => {
        const found = stored.get(id);
        return found === undefined || compareCheckpoints(found, checkpointAt(last)) < 0;
      });
      if (left.length === 0) return;
      for (const { id } of this.#plan.isLeased ? left : []) {
        const holder = this.#leases.holder(id);
        const isRead = holder !== undefined && !holder.isAway && holder.group.isReading(id);
        if (!isRead) await this.#claim(id);
      }
      await after(2);
    }
  }

  /** Lets any running worker other than the shard's owner claim the shard. */
  async #claim(shardId: string, but?: Worker): Promise<void> {
    const others = this.#workers.filter((each) => each !== but && !each.isAway);
    const worker = others[Math.floor(this.#plan.random() * others.length)];
    if (worker !== undefined) await this.#leases.claim(worker, shardId);
  }

  async #judge(): Promise<void> {
    const { harness, stream, machines } = this.#place;
    const { application } = this.#scope;
    const expected = stream.shards
      .flatMap(({ records }) => records.map(({ text }) => text))
      .filter((text) => text !== this.#poison)
      .map((text) => `${application}/${text}`);
    const isOfRun = (effect: string): boolean => effect.startsWith(`${application}/`);
    await expectEffects(harness, expected, "each record has its effect once", isOfRun);
    const letters = machines[0]!.letters ?? this.#queue;
    // A pending cut may have hit its connection.
    const listed = await onceRecovered(() => letters.list({ application }));
    const texts = listed.letters.map(({ data }) => Buffer.from(data ?? []).toString());
    expect(texts, "letters").toStrictEqual(this.#poison === undefined ? [] : [this.#poison]);
  }

  /** Checks that another process can store the next record. */
  #expectFree(shardId: string): Promise<void> {
    const fence = this.#leases.fence(shardId);
    return this.#put(this.#place.observer, shardId, fence && { fence });
  }

  async #put(
    store: TransactionalStore,
    shardId: string,
    own?: Pick<TransactionalWrite, "fence">,
  ): Promise<void> {
    const { next } = this.#place.stream;
    const write = { shardId, from: next, checkpoint: checkpointAt(next), ...own };
    const answer = await onceRecovered(() =>
      transact(this.#place.harness, store, write, { effects: [], scope: this.#scope }),
    );
    // A pending cut may have hit it: then it is already stored.
    expect(answer.outcome, `a transaction of ${shardId} in the end`).not.toBe("lease-lost");
  }
}

async function soon<Value>(what: string, work: Promise<Value>): Promise<Value> {
  const late = new AbortController();
  const limit = after(HANGS_AFTER_MS, undefined, { signal: late.signal }).then(() =>
    expect.fail(`not within ${HANGS_AFTER_MS} ms: ${what}`),
  );
  limit.catch(() => undefined);
  return Promise.race([work, limit]).finally(() => late.abort());
}
