import { setMaxListeners } from "node:events";
import { openApplication } from "../checkpoints/application.ts";
import { Checkpointer } from "../checkpoints/checkpointer.ts";
import type { ApplicationStart } from "../checkpoints/start-position.ts";
import { CALL_TIMEOUT_MS, StoreCalls } from "../checkpoints/store-calls.ts";
import { sleep } from "../clock.ts";
import { aborted } from "../deadline.ts";
import type { OpenDelivery } from "../delivery/delivery.ts";
import { LoopTurns } from "../delivery/loop-turns.ts";
import type { Pauses } from "../delivery/pauses.ts";
import { DrainTimeoutError, toKcError, type KcError } from "../errors.ts";
import type { AnyGroup, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { KinesisClientLike } from "../kinesis/kinesis-client-like.ts";
import { StreamClient } from "../kinesis/stream-client.ts";
import type { ResolvedOptions } from "../options/resolve-options.ts";
import { listenTo } from "../own-listener.ts";
import { PollingReader } from "../reading/polling-reader.ts";
import { openSharedReading, type SharedReading } from "../reading/shared-reading.ts";
import { Reporter } from "../telemetry/reporter.ts";
import type { ConsumerStatus, ScanStage } from "../telemetry/status.ts";
import { Watch } from "../telemetry/watch.ts";
import { groupHost } from "./group-host.ts";
import { ScanLog } from "./scan-log.ts";
import { LAST_FLUSH_MS } from "./shard-life.ts";
import { ShardRuns } from "./shard-runs.ts";

export type ScanStatus = Pick<
  ConsumerStatus,
  "state" | "stage" | "shards" | "failingCalls" | "bufferedBytes" | "pollDelayMs"
>;

/**
 * One run of a consumer: opens the application, reads the shards that the group grants, and drains. It ends on the
 * caller's signal, on the first error, or when the group has nothing more to read. In every case finished work is
 * flushed before the promise settles.
 */
export class Scan {
  readonly #options: ResolvedOptions;
  readonly #client: KinesisClientLike;
  readonly #openDelivery: OpenDelivery;
  readonly #stream: StreamClient;
  readonly #calls: StoreCalls;
  readonly #checkpointer: Checkpointer;
  readonly #turns: LoopTurns;
  readonly #pauses: Pauses;
  readonly #reading: SharedReading;
  readonly #runs: ShardRuns;
  readonly #stop = new AbortController();
  /** Aborts at the deadline of the stop: handlers are abandoned, and finished work is flushed once more. */
  readonly #deadline = new AbortController();
  /** Aborts when the scan has ended: no store calls follow. */
  readonly #over = new AbortController();
  readonly #reporter: Reporter;
  readonly #watch: Watch;
  readonly #log: ScanLog;
  #group: AnyGroup | undefined;
  #described = false;
  #application: ApplicationStart | undefined;
  #error: KcError | undefined;
  #cancelDeadline: (() => void) | undefined;

  /**
   * @param earlier as in `ShardRunsOptions`
   * @param pauses the consumer's pauses, which outlive a scan
   */
  constructor(
    options: ResolvedOptions,
    client: KinesisClientLike,
    openDelivery: OpenDelivery,
    earlier: ReadonlyMap<string, Promise<unknown>>,
    pauses: Pauses,
  ) {
    const { clock, random, telemetry, store, scope } = options;
    this.#options = options;
    this.#client = client;
    this.#openDelivery = openDelivery;
    this.#stream = new StreamClient({ ...options, id: options.streamId, client });
    // Every shard listens to both; Node takes more than ten listeners for a leak.
    setMaxListeners(0, this.#stop.signal, this.#deadline.signal);
    this.#reporter = new Reporter(clock, telemetry, () => this.status());
    this.#watch = new Watch(clock, telemetry, () => this.status());
    this.#log = new ScanLog(telemetry, clock);
    this.#pauses = pauses;
    this.#turns = new LoopTurns(clock);
    this.#runs = new ShardRuns({
      telemetry,
      reporter: this.#reporter,
      deadline: this.#deadline.signal,
      earlier,
    });
    this.#reading = openSharedReading(options, this.#stream.semaphore, () => this.#runs.size);
    this.#calls = new StoreCalls({ store, clock, random, telemetry });
    this.#checkpointer = new Checkpointer({
      calls: this.#calls,
      scope,
      clock,
      random,
      telemetry,
      flushIntervalMs: options.flushIntervalMs,
      maxUnflushedMs: options.maxUnflushedMs,
      maxWriteMs: () => this.#group?.storeTimeoutMs ?? CALL_TIMEOUT_MS,
      ended: this.#over.signal,
      onFailure: (error) => this.#fail(error),
    });
  }

  /** @throws KcError the error that ended the scan; DrainTimeoutError if the stop missed its deadline */
  async run(group: AnyGroup, signal: AbortSignal | undefined): Promise<void> {
    const { clock, telemetry } = this.#options;
    const onAbort = (): void => this.#beginStop(signal?.reason);
    if (signal?.aborted) return;
    const unlisten = signal && listenTo(signal, onAbort);
    const returned = new AbortController();
    const overtime = aborted(this.#deadline.signal);
    this.#reporter.start();
    this.#watch.start();
    telemetry.emit({ kind: "scan-started" });
    try {
      const work = this.#work(group).finally(() => returned.abort());
      await Promise.race([work, overtime]);
      await this.#runs.untilSettled();
      // Abandoned handlers still run: the caller should not close what they use before they return.
      await Promise.race([Promise.all(this.#runs.unfinished.values()), overtime]);
      // The group sees the outcome of its last shards now, and may have their leases to release.
      await sleep(clock, LAST_FLUSH_MS, returned.signal);
      if (!returned.signal.aborted) telemetry.warn("the group did not return from the stop");
    } finally {
      unlisten?.();
      this.#reporter.stop();
      this.#watch.stop();
      this.#stop.abort();
      this.#cancelDeadline?.();
      this.#checkpointer.close();
      this.#over.abort(new Error("the scan is over"));
      telemetry.failingCalls.clear();
    }
    const error = this.#firstError();
    this.#log.ended(this.#runs.granted, error);
    telemetry.emit({ kind: "scan-ended", error });
    if (error) throw error;
  }

  status(): ScanStatus {
    return {
      state: this.#stop.signal.aborted ? "stopping" : "running",
      stage: this.#stage(),
      shards: this.#runs.status(),
      failingCalls: this.#options.telemetry.failingCalls.list,
      bufferedBytes: this.#reading.budget.used,
      pollDelayMs: this.#reading.pace.delayMs,
    };
  }

  /** As `ShardRuns.unfinished`. */
  get unfinished(): ReadonlyMap<string, Promise<unknown>> {
    return this.#runs.unfinished;
  }

  async #work(group: AnyGroup): Promise<void> {
    const options = this.#options;
    const { signal } = this.#stop;
    const fail = (error: unknown): void =>
      this.#fail(toKcError(error, "GROUP_FAILED", "the group failed"));
    this.#group = group;
    try {
      void this.#log.begun({ ...options, client: this.#client, group });
      const description = await this.#stream.describe(signal);
      this.#described = true;
      const application = await openApplication({
        ...options,
        calls: this.#calls,
        description,
        serviceNow: () => this.#stream.serviceNow(),
        signal,
      });
      this.#application = application;
      const host = groupHost(options, this.#stream, this.#calls, this.#runs, {
        over: this.#over.signal,
        fail,
        read: (assignment) => this.#read(assignment, application),
      });
      await group.run(host, signal);
    } catch (error) {
      if (!(signal.aborted && error === signal.reason)) fail(error);
    }
  }

  async #read(assignment: ShardAssignment, application: ApplicationStart): Promise<ShardOutcome> {
    const { signal: stop } = this.#stop;
    if (stop.aborted) return { kind: "stopped" };
    const { clock, random, telemetry, drainTimeoutMs, onShardClosed, deaggregate, ...poll } =
      this.#options;
    const stream = this.#stream;
    const shared = this.#reading;
    const polling = { application, poll, deaggregate, shared, stream, clock, telemetry };
    return this.#runs.read(assignment, {
      openReader: (shard) => new PollingReader(shard, polling),
      openDelivery: this.#openDelivery,
      onShardClosed,
      application,
      stream,
      checkpointer: this.#checkpointer,
      clock,
      random,
      drainTimeoutMs,
      turns: this.#turns,
      timer: this.#reading.timer,
      pauses: this.#pauses,
      telemetry,
      totals: this.#log.totals,
      stop,
      deadline: this.#deadline.signal,
      onFailure: (error) => this.#fail(error),
    });
  }

  #stage(): ScanStage {
    if (!this.#described) return "describing";
    if (this.#application === undefined || this.#group === undefined) return "opening";
    const lacks = "lacks" in this.#group ? this.#group.lacks : this.#lacksShards();
    if (lacks !== undefined) return lacks === "membership" ? "joining" : "listing";
    return this.#runs.size > 0 && !this.#runs.hasRead ? "polling" : "reading";
  }

  #lacksShards(): "shards" | undefined {
    return this.#runs.granted === 0 ? "shards" : undefined;
  }

  /** The first error ends the scan; later ones are logged. */
  #fail(error: KcError): void {
    const { telemetry } = this.#options;
    if (error === this.#error) return;
    telemetry.add("errors", 1, { error: error.code });
    if (this.#error) {
      telemetry.error("another error, while the scan stops", { error });
      return;
    }
    telemetry.error("the scan stops", { error });
    this.#error = error;
    this.#beginStop(error);
  }

  #beginStop(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    const { clock, telemetry, drainTimeoutMs } = this.#options;
    telemetry.emit({ kind: "scan-stopping", error: this.#error });
    this.#stop.abort(reason);
    this.#log.stopping(this.status().shards, drainTimeoutMs);
    this.#cancelDeadline = clock.setTimer(
      () => this.#deadline.abort(new Error(`the stop's ${drainTimeoutMs} ms are over`)),
      drainTimeoutMs,
    );
  }

  #firstError(): KcError | undefined {
    const { telemetry, drainTimeoutMs } = this.#options;
    const { undrained } = this.#runs;
    if (undrained.length === 0) return this.#error;
    const error = new DrainTimeoutError(drainTimeoutMs, undrained);
    telemetry.add("errors", 1, { error: error.code });
    if (this.#error) telemetry.error("the stop after an error ran out of time", { error });
    return this.#error ?? error;
  }
}
