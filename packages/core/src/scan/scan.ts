import { setMaxListeners } from "node:events";
import { openApplication } from "../checkpoints/application.ts";
import { Checkpointer } from "../checkpoints/checkpointer.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import type { ApplicationStart } from "../checkpoints/start-position.ts";
import { CALL_TIMEOUT_MS, StoreCalls } from "../checkpoints/store-calls.ts";
import type { Store, StoreScope } from "../checkpoints/store.ts";
import { sleep, type Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";
import { DrainTimeoutError, toKcError, type KcError, type UndrainedShard } from "../errors.ts";
import type {
  AnyGroup,
  Blockage,
  GroupHost,
  ShardAssignment,
  ShardOutcome,
} from "../groups/group.ts";
import type { Handler } from "../handler.ts";
import type { Shard } from "../kinesis/shard.ts";
import { StreamClient, type KinesisClientLike } from "../kinesis/stream-client.ts";
import type { ResolvedOptions } from "../options/resolve-options.ts";
import { Reporter } from "../telemetry/reporter.ts";
import type { ConsumerStatus, ScanStage } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { Watch } from "../telemetry/watch.ts";
import type { SharedReading } from "../reading/poll-gate.ts";
import type { RecordLoop } from "../delivery/record-iterator.ts";
import { FirstPages } from "../reading/page-size.ts";
import { PollPace } from "../reading/poll-pace.ts";
import { ReadBudget } from "../reading/read-budget.ts";
import { ScanLog } from "./scan-log.ts";
import { listenTo } from "../own-listener.ts";
import { LAST_FLUSH_MS, ShardScan } from "./shard-scan.ts";
import { LoopTurns } from "../delivery/loop-turns.ts";
import { SharedTimer } from "../reading/shared-timer.ts";

export type ScanStatus = Pick<
  ConsumerStatus,
  "state" | "stage" | "shards" | "troubles" | "bufferedBytes" | "pollDelayMs"
>;

/**
 * One run of a consumer: opens the application, lets the group grant shards, reads them, and brings
 * everything to rest. It ends by the user's signal, by the first error, or when the group has
 * nothing more to read. Whatever ends it, finished work is flushed before the promise settles.
 */
export class Scan implements GroupHost {
  readonly scope: StoreScope;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly discoveryIntervalMs: number;
  readonly drainTimeoutMs: number;
  readonly #options: ResolvedOptions;
  readonly #client: KinesisClientLike;
  readonly #handler: Handler;
  readonly #earlier: ReadonlyMap<string, Promise<unknown>>;
  readonly #loop: RecordLoop | undefined;
  readonly #stream: StreamClient;
  readonly #calls: StoreCalls;
  readonly #checkpointer: Checkpointer;
  readonly #turns: LoopTurns;
  readonly #reading: SharedReading;
  readonly #stop = new AbortController();
  /** The stop's time is over: handlers are given up, and finished work gets a last flush. */
  readonly #deadline = new AbortController();
  /** The scan is over: the store is left alone. */
  readonly #over = new AbortController();
  readonly #scans = new Map<string, ShardScan>();
  /** Those that are read, in the order in which they were granted. */
  readonly #running = new Set<ShardScan>();
  /** Those that were given up, and whose handler has not returned. */
  readonly #abandoned = new Set<ShardScan>();
  readonly #granted = new Set<string>();
  readonly #reads = new Set<Promise<ShardOutcome>>();
  readonly #reporter: Reporter;
  readonly #watch: Watch;
  readonly #log: ScanLog;
  readonly #undrained: UndrainedShard[] = [];
  #group: AnyGroup | undefined;
  #described = false;
  #application: ApplicationStart | undefined;
  #hasRead = false;
  #error: KcError | undefined;
  #cancelDeadline: (() => void) | undefined;

  /**
   * @param of `earlier`: handlers that an earlier scan gave up and that still run, by shard: reading
   * waits for them. `loop`: what takes the records, if the handler only hands them on
   */
  constructor(
    options: ResolvedOptions,
    client: KinesisClientLike,
    handler: Handler,
    of: {
      readonly earlier: ReadonlyMap<string, Promise<unknown>>;
      readonly loop: RecordLoop | undefined;
    },
  ) {
    const { clock, random, telemetry, store, scope } = options;
    this.#options = options;
    this.#client = client;
    this.#handler = handler;
    this.#earlier = of.earlier;
    this.#loop = of.loop;
    this.scope = scope;
    this.store = store;
    this.clock = clock;
    this.random = random;
    this.telemetry = telemetry;
    this.discoveryIntervalMs = options.discoveryIntervalMs;
    this.drainTimeoutMs = options.drainTimeoutMs;
    this.#stream = new StreamClient({
      id: options.streamId,
      client,
      clock,
      random,
      telemetry,
      wire: options.wire,
    });
    // Every shard listens to both; Node takes more than ten listeners for a leak.
    setMaxListeners(0, this.#stop.signal, this.#deadline.signal);
    this.#reporter = new Reporter(clock, telemetry, () => this.status());
    this.#watch = new Watch(clock, telemetry, () => this.status());
    this.#log = new ScanLog(telemetry, clock);
    this.#turns = new LoopTurns(clock);
    const shards = (): number => this.#running.size;
    const { line } = this.#stream;
    this.#reading = {
      budget: new ReadBudget(options.maxBufferedBytes, clock),
      firstPages: new FirstPages(),
      timer: new SharedTimer(clock),
      random,
      shards,
      pace: new PollPace({ poll: options, line, shards, clock, telemetry }),
    };
    this.#calls = new StoreCalls({ store, clock, random, telemetry });
    this.#checkpointer = new Checkpointer({
      calls: this.#calls,
      scope,
      clock,
      random,
      telemetry,
      flushIntervalMs: options.flushIntervalMs,
      maxUnflushedMs: options.maxUnflushedMs,
      mostMs: () => this.#group?.storeTimeoutMs ?? CALL_TIMEOUT_MS,
      over: this.#over.signal,
      onFailure: (error) => this.#fail(error),
    });
  }

  /** @throws KcError of what ended the scan; DrainTimeoutError if the stop ran out of time */
  async run(group: AnyGroup, signal: AbortSignal | undefined): Promise<void> {
    const onAbort = (): void => this.#beginStop(signal?.reason);
    if (signal?.aborted) return;
    const unlisten = signal && listenTo(signal, onAbort);
    const returned = new AbortController();
    const overtime = aborted(this.#deadline.signal);
    this.#reporter.start();
    this.#watch.start();
    this.telemetry.emit({ kind: "scan-begun" });
    try {
      const work = this.#work(group).finally(() => returned.abort());
      await Promise.race([work, overtime]);
      await Promise.all(this.#reads);
      // Handlers that were given up run on; what they use should not be closed under them.
      await Promise.race([
        Promise.all([...this.#scans.values()].map(({ idle }) => idle)),
        overtime,
      ]);
      // A group learns of its last shards now, and may have their leases to give back.
      await sleep(this.clock, LAST_FLUSH_MS, returned.signal);
      if (!returned.signal.aborted) this.telemetry.warn("the group did not return from the stop");
    } finally {
      unlisten?.();
      this.#reporter.stop();
      this.#watch.stop();
      this.#stop.abort();
      this.#cancelDeadline?.();
      this.#checkpointer.close();
      this.#over.abort(new Error("the scan is over"));
      this.telemetry.troubles.clear();
    }
    const error = this.#firstError();
    this.#log.ended(this.#granted.size, error);
    this.telemetry.emit({ kind: "scan-ended", error });
    if (error) throw error;
  }

  status(): ScanStatus {
    const shards = [...this.#running, ...this.#abandoned].map((scan) => scan.status());
    return {
      state: this.#stop.signal.aborted ? "stopping" : "running",
      stage: this.#stage(),
      shards,
      troubles: this.telemetry.troubles.list,
      bufferedBytes: this.#reading.budget.used,
      pollDelayMs: this.#reading.pace.delayMs,
    };
  }

  /** Shards whose handler still runs although it was given up, and when it no longer does. */
  get unfinished(): ReadonlyMap<string, Promise<unknown>> {
    return new Map([...this.#scans].map(([shardId, { idle }]) => [shardId, idle]));
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  fail(error: unknown): void {
    this.#fail(toKcError(error, "GROUP_FAILED", "the group failed"));
  }

  blockage(): Blockage {
    const now = this.clock.monotonic();
    const scans = [...this.#running];
    const waiting = scans
      .map((scan) => scan.status())
      .filter(({ state }) => state === "waiting")
      .map(({ lagMs }) => lagMs);
    const unread = Math.min(...scans.map((scan) => scan.unansweredForMs(now)));
    return {
      unreadForMs: scans.some(({ fails }) => fails) && unread < Infinity ? unread : 0,
      waitingForMs: Math.max(0, ...waiting),
    };
  }

  async untilAble(signal: AbortSignal): Promise<void> {
    await this.#stream.listShards(signal);
    const idle = [...this.#earlier.values(), ...this.unfinished.values()];
    await Promise.race([Promise.all(idle), aborted(signal)]);
    signal.throwIfAborted();
  }

  async listShards(signal: AbortSignal): Promise<readonly Shard[]> {
    return this.#stream.listShards(signal);
  }

  async loadCheckpoints(signal: AbortSignal): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#calls.retry("getCheckpoints", signal, (call) =>
      this.store.getCheckpoints(this.scope, call),
    );
  }

  read(assignment: ShardAssignment): Promise<ShardOutcome> {
    const read = this.#read(assignment).finally(() => this.#reads.delete(read));
    this.#reads.add(read);
    return read;
  }

  async #work(group: AnyGroup): Promise<void> {
    const { signal } = this.#stop;
    this.#group = group;
    try {
      void this.#log.begun({ ...this.#options, client: this.#client, group });
      const description = await this.#stream.describe(signal);
      this.#described = true;
      this.#application = await openApplication({
        calls: this.#calls,
        scope: this.scope,
        description,
        start: this.#options.start,
        serviceNow: () => this.#stream.serviceNow(),
        clock: this.clock,
        telemetry: this.telemetry,
        signal,
      });
      await group.run(this, signal);
    } catch (error) {
      if (!(signal.aborted && error === signal.reason)) this.fail(error);
    }
  }

  async #read(assignment: ShardAssignment): Promise<ShardOutcome> {
    const { shardId } = assignment;
    const { signal: stop } = this.#stop;
    if (stop.aborted || this.#application === undefined) return { kind: "stopped" };
    const scan = new ShardScan(assignment, {
      handler: this.#handler,
      onShardClosed: this.#options.onShardClosed,
      application: this.#application,
      firstGrant: (assignment.fence?.epoch ?? 1) === 1 && !this.#granted.has(shardId),
      poll: this.#options,
      reading: this.#reading,
      stream: this.#stream,
      checkpointer: this.#checkpointer,
      clock: this.clock,
      turns: this.#turns,
      telemetry: this.telemetry,
      totals: this.#log.totals,
      loop: this.#loop,
      stop,
      deadline: this.#deadline.signal,
      onFailure: (error) => this.#fail(error),
      previous: this.#scans.get(shardId)?.idle ?? this.#earlier.get(shardId),
    });
    this.#scans.set(shardId, scan);
    this.#granted.add(shardId);
    this.#running.add(scan);
    this.#reporter.begun(shardId);
    this.telemetry.emit({ kind: "shard-begun", shardId, owner: assignment.fence?.owner });
    const outcome = await scan.run();
    this.#running.delete(scan);
    this.#hasRead ||= scan.hasRead;
    if (scan.isHandling) this.#abandoned.add(scan);
    this.telemetry.troubles.forget(shardId);
    this.#reporter.ended(shardId);
    const { acknowledged } = scan;
    this.telemetry.emit({ kind: "shard-over", shardId, outcome: outcome.kind, acknowledged });
    void scan.idle.then(() => {
      this.#abandoned.delete(scan);
      if (this.#scans.get(shardId) !== scan) return;
      this.#scans.delete(shardId);
      this.#reporter.returned(shardId);
    });
    if (outcome.kind === "forced" && this.#deadline.signal.aborted) {
      this.#undrained.push({ shardId, acknowledged, waitingFor: scan.waitingFor });
    }
    return outcome;
  }

  #stage(): ScanStage {
    if (!this.#described) return "describing";
    if (this.#application === undefined || this.#group === undefined) return "opening";
    const lacks = "lacks" in this.#group ? this.#group.lacks : this.#lacksShards();
    if (lacks !== undefined) return lacks === "membership" ? "joining" : "listing";
    this.#hasRead ||= [...this.#running].some(({ hasRead }) => hasRead);
    return this.#running.size > 0 && !this.#hasRead ? "polling" : "reading";
  }

  #lacksShards(): "shards" | undefined {
    return this.#granted.size === 0 ? "shards" : undefined;
  }

  /** The first error wins; what fails after it is logged. */
  #fail(error: KcError): void {
    if (error === this.#error) return;
    this.telemetry.add("errors", 1, { error: error.code });
    if (this.#error) {
      this.telemetry.error("another error, while the scan stops", { error });
      return;
    }
    this.telemetry.error("the scan stops", { error });
    this.#error = error;
    this.#beginStop(error);
  }

  #beginStop(reason: unknown): void {
    if (this.#stop.signal.aborted) return;
    const { drainTimeoutMs } = this.#options;
    this.telemetry.emit({ kind: "scan-stopping", error: this.#error });
    this.#stop.abort(reason);
    this.#log.stopping(this.status().shards, drainTimeoutMs);
    this.#cancelDeadline = this.clock.setTimer(
      () => this.#deadline.abort(new Error(`the stop's ${drainTimeoutMs} ms are over`)),
      drainTimeoutMs,
    );
  }

  #firstError(): KcError | undefined {
    const { drainTimeoutMs } = this.#options;
    const undrained =
      this.#undrained.length > 0
        ? new DrainTimeoutError(drainTimeoutMs, this.#undrained)
        : undefined;
    if (undrained) this.telemetry.add("errors", 1, { error: undrained.code });
    if (this.#error && undrained) {
      this.telemetry.error("the stop after an error ran out of time", { error: undrained });
    }
    return this.#error ?? undrained;
  }
}
