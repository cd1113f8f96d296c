import { setTimer } from "../../src/clock.ts";
import type { DeliveredShard, Delivery, DeliveryStatus } from "../../src/delivery/delivery.ts";
import { HandledMetrics } from "../../src/delivery/handled-metrics.ts";
import { HandlerCall, handlerFailed } from "../../src/delivery/handler-call.ts";
import { RecordSignals } from "../../src/delivery/record-signal.ts";
import { StartGate } from "../../src/delivery/start-gate.ts";
import { Tracker } from "../../src/delivery/tracker.ts";
import type { ConsumerRecord, Handler } from "../../src/index.ts";
import type { Page } from "../../src/reading/shard-reader.ts";

interface Job {
  readonly record: ConsumerRecord;
  readonly ordinal: number;
  attempts: number;
}

export interface ConcurrentOptions {
  readonly handler: Handler;
  readonly concurrency: number;
  readonly maxAttempts?: number;
  readonly retryMs?: number;
}

/** Several records of one shard at once, each key in order; failed ones are tried again after a while. */
export class ConcurrentDelivery implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #options: ConcurrentOptions;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  /** By key: the first one is running, ready, or waits for its next attempt. */
  readonly #lanes = new Map<string | undefined, Job[]>();
  readonly #ready: Job[] = [];
  readonly #calls: HandlerCall[] = [];
  readonly #signals: RecordSignals;
  #running = 0;
  #accepted = 0;
  #starting = false;
  #closed = false;
  #wake: () => void = () => {};
  readonly #cancels = new Set<() => void>();

  constructor(options: ConcurrentOptions, shard: DeliveredShard) {
    this.#options = options;
    this.#shard = shard;
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#tracker = new Tracker(shard.progress);
    this.#signals = new RecordSignals(shard);
    for (let i = 0; i < options.concurrency; i += 1) {
      this.#calls.push(new HandlerCall(shard, this.#signals));
    }
    shard.stop.addEventListener("abort", () => this.#wake(), { once: true });
  }

  async accept(page: Page): Promise<void> {
    const records = this.#tracker.accept(page);
    this.#metrics.begin();
    for (let record = records.current(); record; record = records.current()) {
      const { sequenceNumber, partitionKey } = record;
      const ordinal = this.#tracker.start(sequenceNumber, records.checkpointSub);
      const job = { record, ordinal, attempts: 0 };
      const lane = this.#lanes.get(partitionKey);
      if (lane === undefined) {
        this.#lanes.set(partitionKey, [job]);
        this.#ready.push(job);
      } else lane.push(job);
      this.#accepted += 1;
      records.advance();
    }
    this.#tracker.pageOver();
    void this.#start();
    await this.#until(() => this.#accepted < 2 * this.#options.concurrency);
    this.#shard.stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    await this.#until(() => this.#accepted === 0);
    this.#shard.stop.throwIfAborted();
  }

  status(): DeliveryStatus {
    const handles = this.#running > 0;
    return {
      state: this.#gate.pausedBy ? "paused" : handles ? "handling" : "idle",
      pausedBy: this.#gate.pausedBy,
      retry: undefined,
      keysHeldUp: 0,
      handlingForMs: 0,
      recordsInFlight: this.#accepted,
      oldest: this.#tracker.oldest,
      isAtRecord: handles,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    while (this.#running > 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#tracker.close();
    this.#signals.close();
    this.#metrics.end();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.#shard.stop.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #start(): Promise<void> {
    if (this.#starting) return;
    this.#starting = true;
    try {
      while (this.#ready.length > 0 && this.#running < this.#options.concurrency) {
        const wait = this.#gate.ask(true);
        if (wait) await wait;
        if (this.#closed || this.#shard.stop.aborted) return;
        const index = this.#ready.findIndex(({ ordinal }) => this.#tracker.mayStart(ordinal));
        if (index < 0) return;
        void this.#run(this.#ready.splice(index, 1)[0]!);
      }
    } catch (error) {
      this.#shard.fail(error);
    } finally {
      this.#starting = false;
    }
  }

  async #run(job: Job): Promise<void> {
    const { clock } = this.#shard;
    const { maxAttempts = 1, retryMs = 100 } = this.#options;
    const { record, ordinal } = job;
    const call = this.#calls.pop()!;
    this.#running += 1;
    job.attempts += 1;
    try {
      await call.begin(this.#options.handler, record, job.attempts);
      this.#tracker.done(ordinal);
      this.#accepted -= 1;
      const lane = this.#lanes.get(record.partitionKey)!;
      lane.shift();
      if (lane.length > 0) this.#ready.push(lane[0]!);
      else this.#lanes.delete(record.partitionKey);
    } catch (error) {
      try {
        const { shardId } = this.#shard;
        if (!call.hasExpired(record.sequenceNumber, error)) {
          throw handlerFailed(shardId, record.sequenceNumber, error);
        }
        this.#ready.unshift(job);
      } catch (failure) {
        if (job.attempts >= maxAttempts) this.#shard.fail(failure);
        else {
          const cancel = setTimer(
            clock,
            () => {
              this.#cancels.delete(cancel);
              this.#ready.push(job);
              void this.#start();
            },
            retryMs * 2 ** job.attempts,
          );
          this.#cancels.add(cancel);
        }
      }
    } finally {
      call.end();
      this.#calls.push(call);
      this.#running -= 1;
      this.#wake();
      void this.#start();
    }
  }
}
