import {
  Consumer,
  DrainTimeoutError,
  LeaseGroup,
  type AcquiredLease,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type ConsumerRecord,
  type HandlerContext,
  type MemoryStoreData,
} from "@kc/core";
import type { FakeClock, FakeKinesis } from "@kc/emulator";
import { Violation, type Ledger, type Running } from "./ledger.ts";
import { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { storeLink, writtenOf, type Weather } from "./store-link.ts";

export const STREAM = "orders";
export const SCOPE = { application: "billing", streamName: STREAM };
export const LEASE_MS = 5000;
const DRAIN_MS = 4000;

export interface WorkerOptions {
  readonly id: string;
  readonly clock: FakeClock;
  readonly kinesis: FakeKinesis;
  readonly data: MemoryStoreData;
  readonly random: Random;
  readonly weather: Weather;
  readonly ledger: Ledger;
  readonly start: "LATEST" | "TRIM_HORIZON";
  readonly push: boolean;
  readonly onViolation: (error: Error) => void;
}

/** One process of the application: a whole consumer, behind a gate, links and a clock of its own. */
export class Worker {
  readonly id: string;
  readonly process: Process;
  readonly group: LeaseGroup;
  /** Its own way to the store, beside everybody's. */
  readonly weather: { away: boolean } = { away: false };
  readonly #options: WorkerOptions;
  readonly #stop = new AbortController();
  #sentAt = 0;
  /** Undefined while it runs. */
  ended: { readonly error: unknown } | undefined;

  constructor(options: WorkerOptions) {
    const { id, clock, random } = options;
    this.id = id;
    this.#options = options;
    // Rates differ by less than the margin that a worker keeps to its lease's end.
    const rate = 1 + (random.next() - 0.5) * 0.04;
    this.process = new Process(clock, { rate, skewMs: random.between(-600_000, 0) });
    this.group = new LeaseGroup({ workerId: id, leaseMs: LEASE_MS });
    void this.#run();
  }

  get alive(): boolean {
    return this.process.state !== "dead" && this.ended === undefined;
  }

  /**
   * By the world's clock, whatever its own ones say: it stands still, or is past the lease that its
   * last acknowledged heartbeat gave it.
   */
  get isZombie(): boolean {
    return (
      this.process.state !== "running" || this.#options.clock.monotonic() - this.#sentAt > LEASE_MS
    );
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error(`${this.id} is told to stop`));
  }

  /** kill -9. */
  kill(): void {
    this.process.kill();
  }

  async #run(): Promise<void> {
    const { kinesis, start, onViolation } = this.#options;
    const consumer = new Consumer({
      stream: STREAM,
      application: SCOPE.application,
      store: storeLink({
        ...this.#options,
        process: this.process,
        ownWeather: this.weather,
        onEffect: this.#onEffect,
        // Replies come in any order.
        onAcknowledged: (sentAt) => (this.#sentAt = Math.max(this.#sentAt, sentAt)),
      }),
      group: this.group,
      client: {
        send: ((...call: Parameters<FakeKinesis["send"]>) =>
          this.process.through(kinesis.send(...call) as unknown as Promise<unknown>)) as never,
      },
      clock: this.process,
      random: this.#options.random.next,
      start,
      scanIntervalMs: 1000,
      flushIntervalMs: this.#options.random.pick([0, 500, 1000, 5000]),
      drainTimeoutMs: DRAIN_MS,
      discoveryIntervalMs: this.#options.random.pick([5000, 30_000]),
    });
    const error = await consumer
      .scan((record, context) => this.#handle(record, context), { signal: this.#stop.signal })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    this.ended = { error };
    const isLateStop = this.#stop.signal.aborted && error instanceof DrainTimeoutError;
    if (error !== undefined && !isLateStop) {
      onViolation(error instanceof Error ? error : new Error("the scan failed", { cause: error }));
    }
  }

  async #handle(record: ConsumerRecord, context: HandlerContext): Promise<void> {
    const { ledger, random, onViolation } = this.#options;
    const running: Running = {
      worker: this.id,
      key: record.partitionKey,
      signal: context.signal,
      isZombie: () => this.isZombie,
    };
    try {
      ledger.started(record, context, running);
    } catch (error) {
      return onViolation(error as Error);
    }
    if (random.chance(0.3)) {
      const ms = random.chance(0.05) ? random.between(1000, 8000) : random.between(1, 50);
      await new Promise<void>((resolve) => void this.process.setTimer(resolve, ms));
    }
    ledger.finished(record, running);
  }

  readonly #onEffect = (
    operation: string,
    parameters: readonly unknown[],
    answer: unknown,
  ): void => {
    const { ledger, onViolation } = this.#options;
    try {
      if (operation === "acquireLeases") {
        for (const lease of answer as readonly AcquiredLease[]) ledger.granted(lease);
      }
      if (operation !== "setCheckpoints") return;
      const writes = parameters[1] as readonly CheckpointWrite[];
      const answers = answer as readonly BulkCheckpointResult[];
      for (const { shardId, checkpoint, fence } of writtenOf(writes, answers)) {
        const { owner, epoch } = this.#options.data.shard(SCOPE, shardId);
        if (owner !== fence?.owner || epoch !== fence?.epoch) {
          throw new Violation(`${shardId}: ${fence?.owner} wrote, and ${owner} holds it`);
        }
        ledger.checkpointed(shardId, checkpoint);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      onViolation(error);
    }
  };
}
