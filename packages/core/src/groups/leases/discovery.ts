import type { Checkpoint } from "../../checkpoints/position.ts";
import { Stopwatch } from "../../clock.ts";
import type { Shard } from "../../kinesis/shard.ts";
import type { GroupHost } from "../group.ts";
import { CONFIRM_MS, ListingHistory } from "../listing-history.ts";
import type { LeasedShard } from "./lineage.ts";

/** One complete listing that brought something new, and what was known when it was asked for. */
export interface Discovery {
  readonly listing: readonly Shard[];
  /** Loaded where the listing names a new shard. */
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
  /** Shards that had a row and are gone from the stream, as two listings said. */
  readonly gone: ReadonlySet<string>;
  /** No shard had a row when it was asked for: what it names was there at the start. */
  readonly isFirst: boolean;
}

/**
 * Lists the stream's shards in the background, one listing at a time: it may take as long as it
 * likes, rounds go on.
 */
export class ShardDiscovery {
  readonly #host: GroupHost;
  readonly #signal: AbortSignal;
  readonly #onNews: () => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #history = new ListingHistory();
  readonly #sinceListing: Stopwatch;
  #everListed = false;
  #busy = false;
  #found: Discovery | undefined;

  constructor(options: {
    readonly host: GroupHost;
    /** Ends with this incarnation. */
    readonly signal: AbortSignal;
    /** A listing has brought something new. */
    readonly onNews: () => void;
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#host = options.host;
    this.#signal = options.signal;
    this.#onNews = options.onNews;
    this.#onFailure = options.onFailure;
    this.#sinceListing = new Stopwatch(options.host.clock);
  }

  /** What the listings of this worker have said. */
  get history(): ListingHistory {
    return this.#history;
  }

  /** Begins a listing if one is due. `hurried` = there is reason to expect something new. */
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

  /** The listing that is not acted on yet. */
  get found(): Discovery | undefined {
    return this.#found;
  }

  /** The rows have what was found. */
  settle(): void {
    this.#found = undefined;
  }

  async #list(before: ReadonlyMap<string, LeasedShard>): Promise<void> {
    const { clock } = this.#host;
    const asked = clock.monotonic();
    const listing = await this.#host.listShards(this.#signal);
    const came = clock.monotonic();
    this.#history.add(listing, before.keys(), { asked, came });
    const isNew = listing.some(({ shardId }) => before.get(shardId)?.listed !== true);
    const gone = new Set([...before.keys()].filter((shardId) => this.#history.isGone(shardId)));
    if (!isNew && gone.size === 0) return;
    const checkpoints = isNew ? await this.#host.loadCheckpoints(this.#signal) : new Map();
    this.#found = { listing, checkpoints, gone, isFirst: before.size === 0 };
  }
}
