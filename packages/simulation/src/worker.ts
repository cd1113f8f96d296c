import {
  Consumer,
  DrainTimeoutError,
  KcError,
  LeaseGroup,
  type AcquiredLease,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type ConsumerOptions,
  type ConsumerStatus,
  type DeadLetter,
  type DeliveryOptions,
  type LogFields,
  type MemoryStoreData,
  type WorkerIdentity,
} from "@kc/core";
import type { FakeClock, FakeKinesis } from "@kc/emulator";
import type { AggregatePlan } from "./aggregate-plan.ts";
import { EvictionJudge, evictedBy } from "./eviction-judge.ts";
import { ONE_BY_ONE, type DeliveryPlan } from "./delivery-plan.ts";
import { SimulatedHandler } from "./handler.ts";
import type { Ledger } from "./ledger.ts";
import { letterLink } from "./letter-link.ts";
import { Process } from "./process.ts";
import { decodeId } from "./producer.ts";
import { positionOf } from "./puts.ts";
import type { Random } from "./random.ts";
import { REFUSED, storeLink, writtenOf, type Weather } from "./store-link.ts";
import { Violation } from "./violation.ts";

export const STREAM = "orders";
export const SCOPE = { application: "billing", streamName: STREAM };
export const LEASE_MS = 5000;
/** Below and above the lease: in the latter case a lease may be lost during its hand-off. */
const DRAINS_MS = [4000, 10_000];

/** The error with which a worker leaves its shards to others. */
const CUT_OFF = "Kinesis cannot be reached from here";

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The fields that a worker logs about a given-up record. */
type GivenUp = Pick<DeadLetter, "shardId" | "sequenceNumber" | "subSequenceNumber" | "reason">;

export interface WorkerOptions {
  readonly id: string;
  readonly clock: FakeClock;
  readonly kinesis: FakeKinesis;
  readonly data: MemoryStoreData;
  readonly random: Random;
  readonly weather: Weather;
  readonly ledger: Ledger;
  readonly start: "LATEST" | "TRIM_HORIZON";
  /** The latency to Kinesis, and its bandwidth in bytes per second. */
  readonly link: { readonly latencyMs: number; readonly bandwidth: number | undefined };
  readonly push: boolean;
  /** The scan's options; `undefined` if there are none. */
  readonly plan: DeliveryPlan | undefined;
  /** The stream's aggregates; `undefined` if there are none. */
  readonly aggregates: AggregatePlan | undefined;
  /** The source of randomness for delivery. */
  readonly deliveryRandom: Random;
  /** The letters in the dead-letter queue of all workers. */
  readonly letters: Map<string, DeadLetter>;
  /** Called at the moment when a worker evicts this incarnation. */
  readonly onEvicted: (worker: WorkerIdentity) => void;
  readonly onViolation: (error: Error) => void;
}

/** One process of the application: a whole consumer with its own gate, links and clock. */
export class Worker {
  readonly id: string;
  readonly process: Process;
  readonly group: LeaseGroup;
  /** The state of its own link to the store, in addition to the shared state. */
  readonly weather = { away: false, refused: false, lostAt: -Infinity };
  /** Its own client of Kinesis, with its own faults. */
  readonly kinesis: FakeKinesis;
  readonly handler: SimulatedHandler;
  /** Called once, when the next heartbeat is answered. */
  onHeartbeat: (() => void) | undefined;
  /** Called once, when the next hand-off of a shard begins. */
  onHandOff: (() => void) | undefined;
  /** The bytes that its scan still held when it ended. */
  held = 0;
  readonly #options: WorkerOptions;
  readonly #stop = new AbortController();
  readonly #settings: Pick<ConsumerOptions, "flushIntervalMs" | "discoveryIntervalMs"> & {
    readonly drainTimeoutMs: number;
  };
  readonly #pauses = new Set<{ readonly shardId: string | undefined }>();
  #consumer: Consumer | undefined;
  #sentAt = 0;
  /** `undefined` while it runs. */
  ended: { readonly error: unknown } | undefined;

  constructor(options: WorkerOptions) {
    const { id, clock, random } = options;
    this.id = id;
    this.#options = options;
    // Clock rates differ by less than a worker's safety margin before its lease's end.
    const rate = 1 + (random.next() - 0.5) * 0.04;
    // With a clock that is minutes behind, no record would be too old.
    const skewMs =
      random.between(-600_000, 0) / (options.plan?.maxRecordAgeMs === undefined ? 1 : 100);
    this.process = new Process(clock, { rate, skewMs });
    this.group = new LeaseGroup({ workerId: id, leaseMs: LEASE_MS });
    const { latencyMs, bandwidth } = options.link;
    this.kinesis = options.kinesis.connect({
      latency: () => random.between(latencyMs / 2, latencyMs),
      ...(bandwidth === undefined ? {} : { bandwidth }),
      random: random.next,
    });
    this.#settings = {
      flushIntervalMs: random.pick([0, 500, 1000, 5000]),
      drainTimeoutMs: random.pick(DRAINS_MS),
      discoveryIntervalMs: random.pick([5000, 30_000]),
    };
    this.handler = new SimulatedHandler({
      ...options,
      workerId: id,
      process: this.process,
      drainTimeoutMs: this.#settings.drainTimeoutMs,
      isZombie: () => this.isZombie,
      isStopped: () => this.#stop.signal.aborted,
      isPaused: (shardId) =>
        [...this.#pauses].some((pause) => (pause.shardId ?? shardId) === shardId),
    });
    void this.#run();
  }

  get alive(): boolean {
    return this.process.state !== "dead" && this.ended === undefined;
  }

  /**
   * Whether it is frozen or past the lease of its last acknowledged heartbeat, by the global clock,
   * not its own.
   */
  get isZombie(): boolean {
    return (
      this.process.state !== "running" || this.#options.clock.monotonic() - this.#sentAt > LEASE_MS
    );
  }

  /**
   * Pauses this shard, or all, until the returned function is called. No effect on a dead process.
   */
  pause(shardId: string | undefined): () => void {
    const pause = { shardId };
    let resume = (): void => {};
    this.process.pass(() => {
      resume = this.#consumer!.pause(shardId === undefined ? undefined : [shardId]);
      this.#pauses.add(pause);
    });
    return () =>
      this.process.pass(() => {
        this.#pauses.delete(pause);
        resume();
      });
  }

  /** The shards that it reads. */
  get shardIds(): readonly string[] {
    return this.#consumer!.status().shards.map(({ shardId }) => shardId);
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error(`${this.id} is asked to stop`));
  }

  /** kill -9. */
  kill(): void {
    this.process.kill();
  }

  async #run(): Promise<void> {
    const { start, onViolation } = this.#options;
    const judge = new EvictionJudge({
      workerId: this.id,
      clock: this.#options.clock,
      process: this.process,
      isScanning: () => this.ended === undefined && consumer.status().state === "running",
      signals: () => this.handler.signals,
      onViolation,
    });
    const consumer: Consumer = new Consumer({
      stream: STREAM,
      application: SCOPE.application,
      store: storeLink({
        ...this.#options,
        maxAheadBytes: this.#options.plan?.maxAheadBytes,
        process: this.process,
        ownWeather: this.weather,
        events: {
          onEffect: this.#onEffect,
          onAcknowledged: (sentAt) => {
            // Replies arrive in any order.
            this.#sentAt = Math.max(this.#sentAt, sentAt);
            this.onHeartbeat?.();
            this.onHeartbeat = undefined;
          },
          onAnswer: (operation, answer) => {
            const incarnation = evictedBy(operation, answer, this.group.status());
            if (incarnation !== undefined) judge.evicted(incarnation);
          },
          onCall: (operation, parameters) => {
            this.#count(operation);
            if (operation === "setCheckpoints") {
              this.#options.ledger.checkpointing(parameters[1] as readonly CheckpointWrite[]);
            }
            if (operation === "joinWorker") judge.joining();
          },
        },
      }),
      group: this.group,
      client: {
        send: ((...call: Parameters<FakeKinesis["send"]>) => {
          this.#count(call[0].constructor.name);
          return this.process.through(this.kinesis.send(...call) as unknown as Promise<unknown>);
        }) as never,
      },
      logger: {
        ...SILENT,
        warn: (message, fields) => {
          this.#noteGivenUp(message, fields);
          if (!this.#options.weather.kinesisAway || fields?.["why"] !== CUT_OFF) return;
          onViolation(new Violation(`${this.id}, where nobody reaches Kinesis: ${message}`));
        },
        info: (message, fields) => {
          if (message === "the scan has ended") this.#lookAtEnd(consumer.status());
          if (message !== "handing a shard over") return;
          this.#options.ledger.handingOver(this.id, String(fields?.["shardId"]));
          this.onHandOff?.();
          this.onHandOff = undefined;
        },
      },
      clock: this.process,
      random: this.#options.random.next,
      start,
      scanIntervalMs: 1000,
      ...this.#settings,
      ...this.#aggregateOptions(),
    });
    this.#consumer = consumer;
    const error = await this.#scan(consumer).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    this.ended = { error };
    if (error === REFUSED) return this.#leftBehind();
    const isLateStop = this.#stop.signal.aborted && error instanceof DrainTimeoutError;
    if (error !== undefined && !isLateStop && !this.#mayEndBy(error)) {
      onViolation(error instanceof Error ? error : new Error("the scan failed", { cause: error }));
    }
  }

  #scan(consumer: Consumer): Promise<void> {
    const options = { ...this.#deliveryOptions(), signal: this.#stop.signal };
    const batches = this.#options.plan?.batches;
    if (batches === undefined) {
      return consumer.scan((record, context) => this.handler.handle(record, context), options);
    }
    return consumer.scanBatch((records, context) => this.handler.handleBatch(records, context), {
      ...options,
      ...batches,
    });
  }

  #aggregateOptions(): Pick<ConsumerOptions, "deaggregate" | "counter"> {
    const { aggregates, ledger, onViolation } = this.#options;
    if (aggregates === undefined) return {};
    const add = (name: string, value: number, attributes: object): void => {
      if (name !== "out_of_range_records" || value === 0) return;
      const { outcome, shardId } = attributes as { outcome: string; shardId: string };
      try {
        if (outcome === "left-out") ledger.leftOut(shardId, value);
      } catch (error) {
        onViolation(error as Error);
      }
    };
    return { deaggregate: aggregates.deaggregate, counter: { add } };
  }

  #deliveryOptions(): DeliveryOptions<unknown> {
    const { plan, aggregates } = this.#options;
    const decoding = aggregates?.undecodable === undefined ? {} : { decode: decodeId };
    if (plan === undefined) return decoding;
    const { concurrency, ordering, retry, onFailure, handlerTimeoutMs, maxRecordAgeMs } = plan;
    return {
      ...decoding,
      concurrency,
      ordering,
      ...(retry !== undefined && { retry }),
      ...(handlerTimeoutMs !== undefined && { handlerTimeoutMs }),
      ...(maxRecordAgeMs !== undefined && { maxRecordAgeMs }),
      onFailure:
        onFailure === "queue"
          ? letterLink({ ...this.#options, workerId: this.id, process: this.process })
          : onFailure,
    };
  }

  /** A skipped or dead-lettered record must be logged. */
  #noteGivenUp(message: string, fields: LogFields | undefined): void {
    if (!/^a record (is skipped|goes to the dead-letter queue)/.test(message)) return;
    const { shardId, reason, ...position } = fields as unknown as GivenUp;
    const { ledger } = this.#options;
    try {
      const record = ledger.puts.at(shardId, positionOf(position));
      ledger.gaveUp(this.id, record, reason, this.process.now());
    } catch (error) {
      this.#options.onViolation(error as Error);
    }
  }

  /** A failing handler may end the scan if the options say so. */
  #mayEndBy(error: unknown): boolean {
    const { onFailure, retry } = this.#options.plan ?? ONE_BY_ONE;
    const isExpected = onFailure === "stop" && retry !== undefined && retry.maxAttempts < Infinity;
    return isExpected && KcError.is(error) && error.code === "HANDLER_FAILED";
  }

  /**
   * Fails if a worker that the store refuses permanently has not left the group although it could.
   */
  #leftBehind(): void {
    const { data, weather, onViolation } = this.#options;
    if (weather.away || this.weather.away || weather.faultRate > 0) return;
    // It may have had no time for another attempt.
    if (this.#options.clock.monotonic() - this.weather.lostAt < LEASE_MS) return;
    const rows = [...data.application(SCOPE).workers.values()];
    if (rows.some(({ workerId }) => workerId === this.id)) {
      onViolation(new Violation(`${this.id} is refused, ends, and is still a member`));
    }
  }

  /** A handler that outlives its scan keeps its page in memory. */
  #lookAtEnd({ bufferedBytes, shards }: ConsumerStatus): void {
    this.held = shards.some(({ handlingForMs }) => handlingForMs > 0) ? 0 : bufferedBytes;
  }

  /** Called for each call: none may follow once the scan has settled. */
  #count(what: string): void {
    if (this.ended) {
      this.#options.onViolation(
        new Violation(`${this.id}: ${what} is called after the scan's end`),
      );
    }
  }

  readonly #onEffect = (
    operation: string,
    parameters: readonly unknown[],
    answer: unknown,
  ): void => {
    const { ledger, onEvicted, onViolation } = this.#options;
    try {
      if (operation === "evictWorker" && answer === "evicted") {
        onEvicted(parameters[1] as WorkerIdentity);
      }
      if (operation === "acquireLeases") {
        for (const lease of answer as readonly AcquiredLease[]) ledger.granted(this.id, lease);
      }
      if (operation !== "setCheckpoints") return;
      const writes = parameters[1] as readonly CheckpointWrite[];
      const answers = answer as readonly BulkCheckpointResult[];
      for (const write of writtenOf(writes, answers)) {
        const { shardId, fence } = write;
        const { owner, epoch } = this.#options.data.shard(SCOPE, shardId);
        if (owner !== fence?.owner || epoch !== fence?.epoch) {
          throw new Violation(`${shardId}: ${fence?.owner} wrote, and ${owner} holds it`);
        }
        ledger.checkpointed(write);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      onViolation(error);
    }
  };
}
