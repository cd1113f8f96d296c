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

/** The application as one look found it: workers and leases of one moment. */
export interface View {
  readonly revision: number;
  readonly workers: readonly WorkerRow[];
  readonly shards: ReadonlyMap<string, LeasedShard>;
}

/** Workers and leases are read again so often until they are of one moment. */
const MOST_TRIES = 5;

/** So many rows are brought up to date in one round, so that claims and evictions do not wait. */
const MOST_REFRESHED = 500;

/** Before the first look. */
export const NOTHING: View = { revision: 0, workers: [], shards: new Map() };

export interface GroupViewOptions {
  readonly host: GroupHost;
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
  /** Ends with this incarnation. */
  readonly over: AbortSignal;
  /** A listing of the stream's shards has brought something new. */
  readonly onNews: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Keeps a view of the application's rows. It reads the workers each time, and the leases only when the
 * workers or the revision have changed. It puts what a listing of the stream found into the rows, and
 * watches workers whose counters stand still.
 */
export class GroupView {
  readonly #options: GroupViewOptions;
  readonly #owner: string;
  readonly #watch: WorkerWatch;
  readonly #discovery: ShardDiscovery;
  #view: View = NOTHING;
  /** Shards that are gone from the stream by the listings, held or not. */
  #gone: ReadonlySet<string> = new Set();
  /** Rows that the last listing brings up to date, when there is time for it. */
  #refresh: ShardPut[] = [];
  #isStale = true;
  #isListed = true;
  #looks = 0;

  constructor(options: GroupViewOptions) {
    const { host, membership, timing, over, onNews, onFailure } = options;
    this.#options = options;
    this.#owner = ownerOf(membership.worker);
    this.#watch = new WorkerWatch(timing);
    this.#discovery = new ShardDiscovery({ host, signal: over, onNews, onFailure });
  }

  /** The last view of one moment. */
  get view(): View {
    return this.#view;
  }

  /** Did the last listing of the workers name this one? */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** When a worker whose counter stands still is due, by the monotonic clock; Infinity = none is. */
  get nextDue(): number {
    return this.#watch.nextDue();
  }

  /** When a worker that is gone gave its last sign of life, by the monotonic clock. */
  silentSince(owner: string): number | undefined {
    return this.#watch.silentSince(owner);
  }

  /** Is the shard gone from the stream, by this worker's own listings? */
  isGone(shardId: string): boolean {
    return this.#gone.has(shardId);
  }

  /** Has a listing of this worker that was requested after that moment named the shard? */
  isNamed(shardId: string, after: number): boolean {
    return this.#discovery.history.names(shardId, after);
  }

  /** The rows have changed, or may have: the next look reads them whatever the revision says. */
  expectChange(): void {
    this.#isStale = true;
  }

  /**
   * True = there is something new in the view.
   * @throws StoreRegressedError if the store has lost what it had answered; StoreError
   */
  async look(): Promise<boolean> {
    const { host, calls, membership, over } = this.#options;
    const { scope, clock } = host;
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const asked = clock.monotonic();
      const { revision, workers } = await calls.once("listWorkers", over, (call) =>
        calls.store.listWorkers(scope, call),
      );
      this.#refuseOlder(revision);
      const { steadySince } = membership;
      this.#watch.observe(workers, { asked, came: clock.monotonic(), steadySince });
      this.#isListed = workers.some((row) => ownerOf(row) === this.#owner);
      // This incarnation is dead: it needs no lease, and the calls for them could only delay its end.
      if (!this.#isListed) return false;
      this.#looks += 1;
      const unchanged =
        revision === this.#view.revision &&
        !this.#isStale &&
        isSameGroup(workers, this.#view.workers);
      if (unchanged && !this.#discovery.found && this.#looks % ROUNDS_BETWEEN_LISTINGS !== 0) {
        this.#view = { ...this.#view, workers };
        return false;
      }
      const listed = await calls.once("listLeases", over, (call) =>
        calls.store.listLeases(scope, call),
      );
      this.#refuseOlder(listed.revision);
      // Somebody came or went between the two calls: no plan from rows of two moments.
      if (listed.revision !== revision) continue;
      this.#view = { revision, workers, shards: leasedShards(listed.leases, this.#view.shards) };
      this.#isStale = false;
      if (!(await this.#applyListing())) return true;
    }
    // Many come and go just now: the next round sees more of them at once.
    this.#isStale = true;
    return false;
  }

  /**
   * Some of the rows to bring up to date, once. If they cannot be put, the next listing finds them again.
   */
  takeRefresh(): readonly ShardPut[] {
    return this.#refresh.splice(0, MOST_REFRESHED);
  }

  /** Lists the stream's shards if that is due. `hurried` = something new is expected. */
  discover(hurried: boolean): void {
    const { history } = this.#discovery;
    const isUnsure = [...history.absent()].some((shardId) => !history.isGone(shardId));
    this.#discovery.begin(this.#view.shards, hurried || isUnsure);
  }

  /** Evicts workers whose counters stood still for a lease. True = one is evicted. @throws StoreError */
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

  #refuseOlder(revision: number): void {
    const known = this.#view.revision;
    if (revision >= known) return;
    const { application, streamName } = this.#options.host.scope;
    throw new StoreRegressedError(
      `the store had revision ${known} of application "${application}" on ${streamName}, and now ` +
        `has ${revision}: it was emptied, or went back to an earlier state`,
    );
  }

  /** True = the rows have changed by what a listing found. */
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

/** The revision follows a change in a call of its own, and may come late. */
function isSameGroup(workers: readonly WorkerRow[], before: readonly WorkerRow[]): boolean {
  const known = new Set(before.map(ownerOf));
  return workers.length === known.size && workers.every((row) => known.has(ownerOf(row)));
}
