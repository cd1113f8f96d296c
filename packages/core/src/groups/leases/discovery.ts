import { Stopwatch } from "../../clock.ts";
import type { GroupHost } from "../group.ts";
import { CONFIRM_MS, ListingHistory } from "../listing-history.ts";
import type { LeasedShard } from "./leased-shard.ts";
import { isNews, type ListingNews } from "./listing-changes.ts";

/** Lists the stream's shards in the background, one listing at a time, so that rounds do not wait for it. */
export class ShardDiscovery {
  readonly #host: GroupHost;
  readonly #signal: AbortSignal;
  readonly #onNews: () => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #history = new ListingHistory();
  readonly #sinceListing: Stopwatch;
  #everListed = false;
  #busy = false;
  #found: ListingNews | undefined;

  constructor(options: {
    readonly host: GroupHost;
    /** Aborts when this incarnation ends. */
    readonly signal: AbortSignal;
    /** Called when a listing has found changes. */
    readonly onNews: () => void;
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#host = options.host;
    this.#signal = options.signal;
    this.#onNews = options.onNews;
    this.#onFailure = options.onFailure;
    this.#sinceListing = new Stopwatch(options.host.clock);
  }

  /** The history of this worker's listings. */
  get history(): ListingHistory {
    return this.#history;
  }

  /** Begins a listing if one is due. @param hurried whether changes are expected, so that it is due sooner */
  begin(before: ReadonlyMap<string, LeasedShard>, hurried: boolean): void {
    const { discoveryIntervalMs } = this.#host;
    const everyMs = hurried ? Math.min(CONFIRM_MS, discoveryIntervalMs) : discoveryIntervalMs;
    const due = !this.#everListed || this.#sinceListing.elapsed() >= everyMs;
    if (this.#busy || this.#found || !due) return;
    this.#busy = true;
    this.#everListed = true;
    this.#sinceListing.restart();
    this.#list(before).then(
      () => {
        this.#busy = false;
        if (this.#found) this.#onNews();
      },
      (error: unknown) => {
        this.#busy = false;
        if (!this.#signal.aborted) this.#onFailure(error);
      },
    );
  }

  /** The changes of the last listing that are not in the rows yet. */
  get found(): ListingNews | undefined {
    return this.#found;
  }

  /** Called when the changes are in the rows. */
  settle(): void {
    this.#found = undefined;
  }

  async #list(before: ReadonlyMap<string, LeasedShard>): Promise<void> {
    const { clock } = this.#host;
    const requestedAt = clock.monotonic();
    const listing = await this.#host.listShards(this.#signal);
    const receivedAt = clock.monotonic();
    this.#history.add(listing, before.keys(), { requestedAt, receivedAt });
    const isNew = listing.some((shard) => isNews(shard, before.get(shard.shardId)));
    const gone = new Set([...before.keys()].filter((shardId) => this.#history.isGone(shardId)));
    if (!isNew && gone.size === 0) return;
    const checkpoints = isNew ? await this.#host.loadCheckpoints(this.#signal) : new Map();
    this.#found = { listing, checkpoints, gone, isFirst: before.size === 0 };
  }
}
