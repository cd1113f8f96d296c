import type { Blockage, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { UndrainedShard } from "../errors.ts";
import type { Reporter } from "../telemetry/reporter.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { ShardRun, type ShardRunOptions } from "./shard-run.ts";

/** What all runs of a scan have in common. */
export type CommonRunOptions = Omit<ShardRunOptions, "firstGrant" | "previous">;

export interface ShardRunsOptions {
  readonly telemetry: Telemetry;
  readonly reporter: Reporter;
  /** Aborts when the time that a stop has is over. */
  readonly deadline: AbortSignal;
  /** Handlers that an earlier scan gave up and that are still called, by shard: reading waits for them. */
  readonly earlier: ReadonlyMap<string, Promise<unknown>>;
}

/** The shards of one scan: those that are read, and those that were given up with a handler under way. */
export class ShardRuns {
  readonly #options: ShardRunsOptions;
  /** The last run of each shard whose handler may still be called. */
  readonly #latest = new Map<string, ShardRun>();
  /** Those that are read, in the order in which they were granted. */
  readonly #running = new Set<ShardRun>();
  readonly #abandoned = new Set<ShardRun>();
  readonly #granted = new Set<string>();
  readonly #outcomes = new Set<Promise<ShardOutcome>>();
  readonly #undrained: UndrainedShard[] = [];
  #hasRead = false;

  constructor(options: ShardRunsOptions) {
    this.#options = options;
  }

  /** How many shards are read now. */
  get size(): number {
    return this.#running.size;
  }

  /** How many shards were granted, now or before. */
  get granted(): number {
    return this.#granted.size;
  }

  /** Has a request for one of them been answered? */
  get hasRead(): boolean {
    this.#hasRead ||= [...this.#running].some(({ hasRead }) => hasRead);
    return this.#hasRead;
  }

  /** Shards that a stop gave up. */
  get undrained(): readonly UndrainedShard[] {
    return this.#undrained;
  }

  /** Shards whose handler may still be called, and when it no longer is. */
  get unfinished(): ReadonlyMap<string, Promise<unknown>> {
    return new Map([...this.#latest].map(([shardId, { idle }]) => [shardId, idle]));
  }

  status(): readonly ShardStatus[] {
    return [...this.#running, ...this.#abandoned].map((run) => run.status());
  }

  /** What keeps the shards from being read. @param now by the monotonic clock */
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

  /** Resolves when no handler of an earlier scan, or of a shard that was given up, is called any more. */
  async untilIdle(): Promise<void> {
    await Promise.all([...this.#options.earlier.values(), ...this.unfinished.values()]);
  }

  /** Resolves when each shard that is read now has its outcome. */
  async untilOver(): Promise<void> {
    await Promise.all(this.#outcomes);
  }

  /** Never rejects. */
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
    telemetry.emit({ kind: "shard-begun", shardId, owner: fence?.owner });
    const outcome = await run.run();
    this.#running.delete(run);
    this.#hasRead ||= run.hasRead;
    if (run.isHandling) this.#abandoned.add(run);
    telemetry.troubles.forget(shardId);
    reporter.ended(shardId);
    const { acknowledged, waitingFor } = run;
    telemetry.emit({ kind: "shard-over", shardId, outcome: outcome.kind, acknowledged });
    void run.idle.then(() => this.#returned(run));
    if (outcome.kind === "forced" && deadline.aborted) {
      this.#undrained.push({ shardId, acknowledged, waitingFor });
    }
    return outcome;
  }

  /** Its handler is not called any more. */
  #returned(run: ShardRun): void {
    this.#abandoned.delete(run);
    if (this.#latest.get(run.shardId) !== run) return;
    this.#latest.delete(run.shardId);
    this.#options.reporter.returned(run.shardId);
  }
}
