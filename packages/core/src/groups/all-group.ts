import type { Checkpoint } from "../checkpoints/position.ts";
import { follows } from "../checkpoints/start-position.ts";
import { Stopwatch } from "../clock.ts";
import type { Shard } from "../kinesis/shard.ts";
import { WakeTimer } from "./wake-timer.ts";
import type { Group, GroupHost, ShardOutcome } from "./group.ts";
import { isLeaseStore } from "./is-lease-store.ts";
import { CONFIRM_MS, ListingHistory } from "./listing-history.ts";
import { ShardGraph } from "./shard-graph.ts";

/**
 * Reads every shard of the stream in this process. New shards are found by a listing every
 * `discoveryIntervalMs`, and sooner by the last page of a closed shard, which names its children. Checkpoints are
 * loaded when unknown shards appear, not with every listing.
 */
export class AllGroup implements Group {
  run(host: GroupHost, signal: AbortSignal): Promise<void> {
    return new AllShards(host, signal).run();
  }
}

/** One run of an `AllGroup`. Listings run in the background, so that known shards are granted without waiting. */
class AllShards {
  readonly #host: GroupHost;
  readonly #signal: AbortSignal;
  readonly #timer: WakeTimer;
  readonly #graph = new ShardGraph();
  readonly #history = new ListingHistory();
  readonly #granted = new Set<string>();
  /** Shards whose checkpoints were loaded. */
  readonly #known = new Set<string>();
  /** Shards that Kinesis reported as not found, and when: listings must show whether they are gone. */
  readonly #doubted = new Map<string, number>();
  /** Shards that are gone from the stream, as listings confirmed. */
  readonly #gone = new Set<string>();
  readonly #sinceListing: Stopwatch;
  /** The checkpoints as last loaded. */
  #checkpoints = new Map<string, Checkpoint>();
  #presentAtStart: ReadonlySet<string> | undefined;
  #listingIsDue = true;
  #isListing = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(host: GroupHost, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
    this.#timer = new WakeTimer(host.clock);
    this.#sinceListing = new Stopwatch(host.clock);
  }

  async run(): Promise<void> {
    const onStop = (): void => this.#timer.wakeIn(0);
    this.#signal.addEventListener("abort", onStop, { once: true });
    try {
      while (!this.#signal.aborted) {
        if (this.#failure) throw this.#failure.error;
        if (this.#untilListingMs() <= 0) void this.#list();
        this.#grantReadable();
        if (await this.#loadCheckpoints()) this.#grantReadable();
        await this.#timer.wait(this.#untilListingMs());
      }
    } finally {
      this.#signal.removeEventListener("abort", onStop);
    }
  }

  #untilListingMs(): number {
    if (this.#isListing) return Infinity;
    if (this.#listingIsDue) return 0;
    const { discoveryIntervalMs } = this.#host;
    const isUnsure = [...this.#history.absent()].some((id) => !this.#history.isGone(id));
    const everyMs = isUnsure ? Math.min(CONFIRM_MS, discoveryIntervalMs) : discoveryIntervalMs;
    return everyMs - this.#sinceListing.elapsed();
  }

  async #list(): Promise<void> {
    const { clock } = this.#host;
    this.#isListing = true;
    this.#listingIsDue = false;
    this.#sinceListing.restart();
    try {
      const requestedAt = clock.monotonic();
      const known = new Set([...this.#graph.shardIds(), ...this.#checkpoints.keys()]);
      const listing = await this.#host.listShards(this.#signal);
      this.#history.add(listing, known, { requestedAt, receivedAt: clock.monotonic() });
      this.#graph.list(listing);
      this.#presentAtStart ??= new Set(listing.map(({ shardId }) => shardId));
      for (const [shardId, since] of this.#doubted) {
        if (!this.#history.names(shardId, since)) continue;
        this.#doubted.delete(shardId);
        // Its checkpoint is loaded again: there may be progress since the last load.
        this.#known.delete(shardId);
      }
      for (const shardId of this.#gone) {
        if (!this.#history.isGone(shardId)) this.#gone.delete(shardId);
      }
      const isNewlyGone = (shardId: string): boolean =>
        this.#history.isGone(shardId) &&
        !this.#gone.has(shardId) &&
        !this.#granted.has(shardId) &&
        !this.#graph.mayBeTooYoung(shardId);
      const gone = [...known].filter(isNewlyGone);
      if (gone.length > 0) void this.#forget(gone);
    } catch (error) {
      if (!this.#signal.aborted) this.#failure = { error };
    }
    this.#isListing = false;
    this.#timer.wakeIn(0);
  }

  /** Loads the checkpoints if there are shards without a loaded one. Returns whether there were any. */
  async #loadCheckpoints(): Promise<boolean> {
    const unknown = this.#graph.shardIds().filter((shardId) => !this.#known.has(shardId));
    if (unknown.length === 0) return false;
    this.#checkpoints = new Map(await this.#host.loadCheckpoints(this.#signal));
    for (const [shardId, { kind }] of this.#checkpoints) {
      if (kind === "shard-end") this.#graph.end(shardId);
    }
    for (const shardId of unknown) this.#known.add(shardId);
    return true;
  }

  #grantReadable(): void {
    // A parent that retention removed from the stream may still be being read here.
    const isHeld = ({ shardId, parentShardIds }: Shard): boolean =>
      [shardId, ...parentShardIds].some((id) => this.#granted.has(id));
    for (const shard of this.#graph.readable()) {
      const { shardId } = shard;
      if (this.#known.has(shardId) && !this.#doubted.has(shardId) && !isHeld(shard)) {
        this.#grant(shard);
      }
    }
  }

  #grant(shard: Shard): void {
    const { shardId } = shard;
    this.#granted.add(shardId);
    void this.#host
      .read({
        shardId,
        checkpoint: this.#checkpoints.get(shardId),
        presentAtStart: this.#presentAtStart?.has(shardId) ?? false,
        afterParent: follows(shard, (id) => this.#graph.knows(id), this.#checkpoints),
        hashKeyRange: () => shard.hashKeyRange,
      })
      .then((outcome) => this.#settle(shardId, outcome));
  }

  #settle(shardId: string, outcome: ShardOutcome): void {
    this.#granted.delete(shardId);
    if (outcome.kind === "ended") this.#graph.end(shardId, outcome.children);
    if (outcome.kind === "aged-out") this.#doubted.set(shardId, this.#host.clock.monotonic());
    // The last page usually names the children. If it does not, a listing does.
    this.#listingIsDue ||=
      outcome.kind === "aged-out" || (outcome.kind === "ended" && outcome.children.length === 0);
    this.#timer.wakeIn(0);
  }

  /** Forgets shards that retention removed from the stream, and removes the store's rows of those that had ended. */
  async #forget(gone: readonly string[]): Promise<void> {
    const { telemetry } = this.#host;
    for (const shardId of gone) {
      const isUnread = this.#graph.knows(shardId) && !this.#graph.hasEnded(shardId);
      this.#gone.add(shardId);
      this.#graph.forget(shardId);
      // The reader of a doubted shard has reported the loss already.
      if (!isUnread || this.#doubted.delete(shardId)) continue;
      telemetry.add("trimmed", 1, { shardId });
      telemetry.warn("retention took a shard that was not read to its end", { shardId });
    }
    try {
      await this.#removeRows();
    } catch (error) {
      if (this.#signal.aborted) return;
      telemetry.warn("the rows of shards that have ended and aged out stay for now", { error });
    }
  }

  /**
   * Removes the rows of ended shards that are gone, once all children have checkpoints: until then the parent's row
   * determines where a child starts.
   */
  async #removeRows(): Promise<void> {
    const { store, scope } = this.#host;
    const ended = [...this.#gone].filter((shardId) => this.#graph.hasEnded(shardId));
    if (ended.length === 0 || !isLeaseStore(store)) return;
    const stored = await this.#host.loadCheckpoints(this.#signal);
    const removable = ended.filter((shardId) =>
      this.#graph.childrenOf(shardId).every((child) => stored.has(child)),
    );
    if (removable.length === 0) return;
    await store.removeShards(scope, removable, { signal: this.#signal });
    for (const shardId of removable) {
      this.#known.delete(shardId);
      this.#checkpoints.delete(shardId);
      this.#graph.forgetEnd(shardId);
    }
  }
}
