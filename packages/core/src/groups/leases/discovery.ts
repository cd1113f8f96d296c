import type { Checkpoint } from "../../checkpoints/position.ts";
import { Stopwatch } from "../../clock.ts";
import type { Shard } from "../../kinesis/shard.ts";
import type { GroupHost } from "../group.ts";
import type { LeasedShard } from "./lineage.ts";

/** Children that nobody announced are looked for so often, in milliseconds. */
const HURRIED_MS = 5000;

/** One complete listing that brought something new, and what was known when it was asked for. */
export interface Discovery {
  readonly listing: readonly Shard[];
  /** Rows of shards that the listing must name, unless retention took them. */
  readonly before: ReadonlyMap<string, LeasedShard>;
  /** Loaded where the listing names a new shard. */
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
}

/**
 * Lists the stream's shards in the background, one listing at a time: it may take as long as it
 * likes, rounds go on. Of all workers the one with the lowest id does it.
 */
export class ShardDiscovery {
  readonly #host: GroupHost;
  readonly #signal: AbortSignal;
  readonly #onNews: () => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #sinceListing: Stopwatch;
  #everListed = false;
  #busy = false;
  #found: Discovery | undefined;

  constructor(options: {
    readonly host: GroupHost;
    readonly signal: AbortSignal;
    readonly onNews: () => void;
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#host = options.host;
    this.#signal = options.signal;
    this.#onNews = options.onNews;
    this.#onFailure = options.onFailure;
    this.#sinceListing = new Stopwatch(options.host.clock);
  }

  /** Begins a listing if one is due. `hurried` = there is reason to expect something new. */
  begin(before: ReadonlyMap<string, LeasedShard>, hurried: boolean): void {
    const { discoveryIntervalMs } = this.#host;
    const everyMs = hurried ? Math.min(HURRIED_MS, discoveryIntervalMs) : discoveryIntervalMs;
    const due = !this.#everListed || this.#sinceListing.elapsed() >= everyMs;
    if (this.#busy || this.#found || !due) return;
    this.#busy = true;
    this.#everListed = true;
    this.#sinceListing.restart();
    this.#list(before).then(
      (found) => {
        this.#busy = false;
        if (found === undefined) return;
        this.#found = found;
        this.#onNews();
      },
      (error: unknown) => {
        this.#busy = false;
        if (!this.#signal.aborted) this.#onFailure(error);
      },
    );
  }

  get hasFound(): boolean {
    return this.#found !== undefined;
  }

  /** The listing that is not acted on yet, once. */
  take(): Discovery | undefined {
    const found = this.#found;
    this.#found = undefined;
    return found;
  }

  async #list(before: ReadonlyMap<string, LeasedShard>): Promise<Discovery | undefined> {
    const listing = await this.#host.listShards(this.#signal);
    const isNew = listing.some(({ shardId }) => before.get(shardId)?.listed !== true);
    const listedBefore = [...before.values()].filter(({ listed }) => listed).length;
    if (!isNew && listedBefore === listing.length) return undefined;
    const checkpoints = isNew ? await this.#host.loadCheckpoints(this.#signal) : new Map();
    return { listing, before, checkpoints };
  }
}
