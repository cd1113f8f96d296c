import type { Blockage, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { UndrainedShard } from "../errors.ts";
import type { Reporter } from "../telemetry/reporter.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { ShardRun, type ShardRunOptions } from "./shard-run.ts";

/** The options that all shards of a scan share. */
export type CommonRunOptions = Omit<ShardRunOptions, "firstGrant" | "previous">;

export interface ShardRunsOptions {
  readonly telemetry: Telemetry;
  readonly reporter: Reporter;
  /** Aborts at the deadline of the stop. */
  readonly deadline: AbortSignal;
  /** By shard: settles when the handler that an earlier scan abandoned has returned. Reading waits for it. */
  readonly earlier: ReadonlyMap<string, Promise<unknown>>;
}

/** The shards of one scan: those being read, and those abandoned with a handler that has not returned. */
export class ShardRuns {
  readonly #options: ShardRunsOptions;
  /** The last run of each shard, until its handlers have returned. */
  readonly #latest = new Map<string, ShardRun>();
  /** The shards being read, in the order of their grants. */
  readonly #running = new Set<ShardRun>();
  readonly #abandoned = new Set<ShardRun>();
  readonly #granted = new Set<string>();
  readonly #outcomes = new Set<Promise<ShardOutcome>>();
  readonly #undrained: UndrainedShard[] = [];
  #hasRead = false;

  constructor(options: ShardRunsOptions) {
    this.#options = options;
  }

  /** The number of shards being read. */
  get size(): number {
    return this.#running.size;
  }

  /** The number of shards granted since the scan began. */
  get granted(): number {
    return this.#granted.size;
  }

  /** True once GetRecords has been answered for any shard. */
  get hasRead(): boolean {
    this.#hasRead ||= [...this.#running].some(({ hasRead }) => hasRead);
    return this.#hasRead;
  }

  /** The shards that a stop abandoned at its deadline. */
  get undrained(): readonly UndrainedShard[] {
    return this.#undrained;
  }

  /** Shards with handlers that may still be running; each promise settles when they have returned. */
  get unfinished(): ReadonlyMap<string, Promise<unknown>> {
    return new Map([...this.#latest].map(([shardId, { idle }]) => [shardId, idle]));
  }

  status(): readonly ShardStatus[] {
    return [...this.#running, ...this.#abandoned].map((run) => run.status());
  }

  /** Reports what prevents the shards from being read. @param now by the monotonic clock */
  blockage(now: number): Blockage {
    const runs = [...this.#running];
    const waiting = runs
      .map((run) => run.status())
      .filter(({ state }) => state === "waiting")
      .map(({ lagMs }) => lagMs);
    const unread = Math.min(...runs.map((run) => run.unansweredForMs(now)));
    return {
      unreadForMs: runs.some(({ fails }) => fails) && unread < Infinity ? unread : 0,
      waitingForMs: Math.max(0, ...waiting),
    };
  }

  /** Resolves when all handlers of earlier scans and of abandoned shards have returned. */
  async untilIdle(): Promise<void> {
    await Promise.all([...this.#options.earlier.values(), ...this.unfinished.values()]);
  }

  /** Resolves when every shard being read has its outcome. */
  async untilSettled(): Promise<void> {
    await Promise.all(this.#outcomes);
  }

  /** Reads an assignment until it has an outcome. Never rejects. */
  read(assignment: ShardAssignment, common: CommonRunOptions): Promise<ShardOutcome> {
    const outcome = this.#read(assignment, common).finally(() => this.#outcomes.delete(outcome));
    this.#outcomes.add(outcome);
    return outcome;
  }

  async #read(assignment: ShardAssignment, common: CommonRunOptions): Promise<ShardOutcome> {
    const { shardId, fence } = assignment;
    const { telemetry, reporter, deadline, earlier } = this.#options;
    const run = new ShardRun(assignment, {
      ...common,
      firstGrant: (fence?.epoch ?? 1) === 1 && !this.#granted.has(shardId),
      previous: this.#latest.get(shardId)?.idle ?? earlier.get(shardId),
    });
    this.#latest.set(shardId, run);
    this.#granted.add(shardId);
    this.#running.add(run);
    reporter.begun(shardId);
    telemetry.emit({ kind: "shard-started", shardId, owner: fence?.owner });
    const outcome = await run.run();
    this.#running.delete(run);
    this.#hasRead ||= run.hasRead;
    if (run.isHandling) this.#abandoned.add(run);
    telemetry.failingCalls.forget(shardId);
    reporter.ended(shardId);
    const { acknowledged, waitingFor } = run;
    telemetry.emit({ kind: "shard-stopped", shardId, outcome: outcome.kind, acknowledged });
    void run.idle.then(() => this.#returned(run));
    if (outcome.kind === "forced" && deadline.aborted) {
      this.#undrained.push({ shardId, acknowledged, waitingFor });
    }
    return outcome;
  }

  /** All handlers of the run have returned. */
  #returned(run: ShardRun): void {
    this.#abandoned.delete(run);
    if (this.#latest.get(run.shardId) !== run) return;
    this.#latest.delete(run.shardId);
    this.#options.reporter.returned(run.shardId);
  }
}
