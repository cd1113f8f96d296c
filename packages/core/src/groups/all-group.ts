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
 * Reads every shard of the stream in this one process. One listing a period finds what is new, and
 * a closed shard's last page names its children sooner. Checkpoints are read when shards appear
 * that were not known before, not with every listing.
 */
export class AllGroup implements Group {
  run(host: GroupHost, signal: AbortSignal): Promise<void> {
    return new AllShards(host, signal).run();
  }
}

/** One run: listings come in the background, so that what is known is granted without them. */
class AllShards {
  readonly #host: GroupHost;
  readonly #signal: AbortSignal;
  readonly #timer: WakeTimer;
  readonly #graph = new ShardGraph();
  readonly #history = new ListingHistory();
  readonly #granted = new Set<string>();
  /** Shards that the checkpoints were loaded for. */
  readonly #known = new Set<string>();
  /** Shards that Kinesis did not know, and when; a listing has to name them again, or not. */
  readonly #doubted = new Map<string, number>();
  /** Shards that are gone from the stream, as listings agree. */
  readonly #gone = new Set<string>();
  readonly #sinceListing: Stopwatch;
  /** As they were loaded last. */
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
        if (await this.#recognise()) this.#grantReadable();
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
      const asked = clock.monotonic();
      const known = new Set([...this.#graph.shardIds(), ...this.#checkpoints.keys()]);
      const listing = await this.#host.listShards(this.#signal);
      this.#history.add(listing, known, { asked, came: clock.monotonic() });
      this.#graph.list(listing);
      this.#presentAtStart ??= new Set(listing.map(({ shardId }) => shardId));
      for (const [shardId, since] of this.#doubted) {
        if (!this.#history.names(shardId, since)) continue;
        this.#doubted.delete(shardId);
        // What was done since they were loaded counts.
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

  /** Loads the checkpoints if a shard came that they were not loaded for. True = one did. */
  async #recognise(): Promise<boolean> {
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
    // A parent that retention took from the stream may still be in our hands.
    const inHand = ({ shardId, parentShardIds }: Shard): boolean =>
      [shardId, ...parentShardIds].some((id) => this.#granted.has(id));
    for (const shard of this.#graph.readable()) {
      const { shardId } = shard;
      if (this.#known.has(shardId) && !this.#doubted.has(shardId) && !inHand(shard)) {
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
    // The service names the children in the last page. Where it did not, a listing does.
    this.#listingIsDue ||=
      outcome.kind === "aged-out" || (outcome.kind === "ended" && outcome.children.length === 0);
    this.#timer.wakeIn(0);
  }

  /** Retention took them, as listings agree. The rows of those that had ended go too. */
  async #forget(gone: readonly string[]): Promise<void> {
    const { telemetry } = this.#host;
    for (const shardId of gone) {
      const isUnread = this.#graph.knows(shardId) && !this.#graph.hasEnded(shardId);
      this.#gone.add(shardId);
      this.#graph.forget(shardId);
      // The reader of a shard reports it.
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

  /** Of shards that are gone and whose children have begun: until then a parent's row says where. */
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
