import {
  ownerOf,
  type LeaseStore,
  type ShardPut,
  type WorkerRow,
} from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import { StoreRegressedError } from "../../errors.ts";
import type { GroupHost } from "../group.ts";
import { ShardDiscovery } from "./discovery.ts";
import { leasedShards, type LeasedShard } from "./leased-shard.ts";
import { discovered } from "./listing-changes.ts";
import type { Membership } from "./membership.ts";
import { ROUNDS_BETWEEN_LISTINGS, type LeaseTiming } from "./timing.ts";
import { WorkerWatch } from "./worker-watch.ts";

/** A consistent snapshot of the application: workers and leases of the same revision. */
export interface View {
  readonly revision: number;
  readonly workers: readonly WorkerRow[];
  readonly shards: ReadonlyMap<string, LeasedShard>;
}

/** How often workers and leases are read per round to get both at the same revision. */
const MAX_ATTEMPTS = 5;

/** Maximum number of rows updated per round, so that claims and evictions do not wait. */
const MAX_REFRESHED = 500;

/** The view before the first snapshot. */
export const NOTHING: View = { revision: 0, workers: [], shards: new Map() };

export interface GroupViewOptions {
  readonly host: GroupHost;
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
  /** Aborts when this incarnation ends. */
  readonly over: AbortSignal;
  /** Called when a listing of the stream's shards has found changes. */
  readonly onNews: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Keeps a snapshot of the application's rows. Each round reads the workers; the leases are read only if the workers or
 * the revision have changed. Also writes the changes found by listings of the stream into the rows, and watches for
 * silent workers.
 */
export class GroupView {
  readonly #options: GroupViewOptions;
  readonly #owner: string;
  readonly #watch: WorkerWatch;
  readonly #discovery: ShardDiscovery;
  #view: View = NOTHING;
  /** Shards that are gone from the stream according to listings, held or not. */
  #gone: ReadonlySet<string> = new Set();
  /** Row updates of the last listing that are not urgent. */
  #refresh: ShardPut[] = [];
  #isStale = true;
  #isListed = true;
  #rounds = 0;

  constructor(options: GroupViewOptions) {
    const { host, membership, timing, over, onNews, onFailure } = options;
    this.#options = options;
    this.#owner = ownerOf(membership.worker);
    this.#watch = new WorkerWatch(timing);
    this.#discovery = new ShardDiscovery({ host, signal: over, onNews, onFailure });
  }

  /** The last consistent snapshot. */
  get view(): View {
    return this.#view;
  }

  /** True if the last read of the workers contained this one. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** When the next silent worker can be evicted, by the monotonic clock; Infinity = there is none. */
  get nextDue(): number {
    return this.#watch.nextDue();
  }

  /** When a worker that is gone last showed a sign of life, by the monotonic clock. */
  silentSince(owner: string): number | undefined {
    return this.#watch.silentSince(owner);
  }

  /** True if this worker's own listings show that the shard is gone from the stream. */
  isGone(shardId: string): boolean {
    return this.#gone.has(shardId);
  }

  /** True if a listing that this worker requested after that time names the shard. */
  isNamed(shardId: string, after: number): boolean {
    return this.#discovery.history.names(shardId, after);
  }

  /** Forces the next `update` to read the leases, even if the revision has not changed. */
  expectChange(): void {
    this.#isStale = true;
  }

  /**
   * Reads the rows. Returns whether the view has changed.
   * @throws StoreRegressedError if the store's revision has gone back; StoreError
   */
  async update(): Promise<boolean> {
    const { host, calls, membership, over } = this.#options;
    const { scope, clock } = host;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const requestedAt = clock.monotonic();
      const { revision, workers } = await calls.once("listWorkers", over, (call) =>
        calls.store.listWorkers(scope, call),
      );
      this.#refuseOlder(revision);
      const { steadySince } = membership;
      this.#watch.observe(workers, { requestedAt, receivedAt: clock.monotonic(), steadySince });
      this.#isListed = workers.some((row) => ownerOf(row) === this.#owner);
      // This incarnation was evicted: it needs no leases, and reading them would only delay its end.
      if (!this.#isListed) return false;
      this.#rounds += 1;
      const unchanged =
        revision === this.#view.revision &&
        !this.#isStale &&
        isSameGroup(workers, this.#view.workers);
      if (unchanged && !this.#discovery.found && this.#rounds % ROUNDS_BETWEEN_LISTINGS !== 0) {
        this.#view = { ...this.#view, workers };
        return false;
      }
      const listed = await calls.once("listLeases", over, (call) =>
        calls.store.listLeases(scope, call),
      );
      this.#refuseOlder(listed.revision);
      // The group changed between the two calls: never plan from rows of two revisions.
      if (listed.revision !== revision) continue;
      this.#view = { revision, workers, shards: leasedShards(listed.leases, this.#view.shards) };
      this.#isStale = false;
      if (!(await this.#applyListing())) return true;
    }
    // The group is changing quickly: leave it to the next round.
    this.#isStale = true;
    return false;
  }

  /** Removes and returns some of the row updates. If writing them fails, the next listing finds them again. */
  takeRefresh(): readonly ShardPut[] {
    return this.#refresh.splice(0, MAX_REFRESHED);
  }

  /** Lists the stream's shards if that is due. @param hurried whether changes are expected */
  discover(hurried: boolean): void {
    const { history } = this.#discovery;
    const isUnsure = [...history.absent()].some((shardId) => !history.isGone(shardId));
    this.#discovery.begin(this.#view.shards, hurried || isUnsure);
  }

  /** Evicts workers that were silent for a lease duration. Returns whether any was evicted. @throws StoreError */
  async evictOverdue(): Promise<boolean> {
    const { host, calls, over } = this.#options;
    let evicted = false;
    for (const { worker, since } of this.#watch.overdue()) {
      if (ownerOf(worker) === this.#owner) continue;
      const outcome = await calls.once("evictWorker", over, (call) =>
        calls.store.evictWorker(host.scope, worker, call),
      );
      if (outcome !== "evicted") continue;
      evicted = true;
      host.telemetry.add("evictions", 1, {});
      host.telemetry.warn("a worker was silent for a lease's duration: it is evicted", {
        worker: ownerOf(worker),
        silentForMs: Math.round(host.clock.monotonic() - since),
      });
    }
    return evicted;
  }

  /** @throws StoreRegressedError if the revision is older than the known one */
  #refuseOlder(revision: number): void {
    const known = this.#view.revision;
    if (revision >= known) return;
    const { application, streamName } = this.#options.host.scope;
    throw new StoreRegressedError(
      `the store had revision ${known} of application "${application}" on ${streamName}, and now ` +
        `has ${revision}: it was emptied, or went back to an earlier state`,
    );
  }

  /** Writes the changes found by a listing into the rows. Returns whether rows have changed. */
  async #applyListing(): Promise<boolean> {
    const { found } = this.#discovery;
    if (found === undefined) return false;
    const { host, calls, over } = this.#options;
    const { scope, telemetry } = host;
    const { put, refresh, gone: all } = discovered(found, this.#view.shards);
    this.#refresh = [...refresh];
    this.#gone = new Set(all.map(({ shardId }) => shardId));
    const living = new Set(this.#view.workers.map(ownerOf));
    const gone = all.filter(({ owner }) => owner === undefined || !living.has(owner));
    if (put.length > 0) {
      await calls.once("putShards", over, (call) => calls.store.putShards(scope, put, call));
    }
    if (gone.length > 0) {
      const shardIds = gone.map(({ shardId }) => shardId);
      await calls.once("removeShards", over, (call) =>
        calls.store.removeShards(scope, shardIds, call),
      );
    }
    this.#discovery.settle();
    for (const { shardId, ended } of gone) {
      if (ended) continue;
      telemetry.add("trimmed", 1, { shardId });
      telemetry.warn("retention took a shard that was not read to its end", { shardId });
    }
    return put.length > 0 || gone.length > 0;
  }
}

/** Compares the workers too, because the store may update the revision later than the rows. */
function isSameGroup(workers: readonly WorkerRow[], before: readonly WorkerRow[]): boolean {
  const known = new Set(before.map(ownerOf));
  return workers.length === known.size && workers.every((row) => known.has(ownerOf(row)));
}
