import { uniformRanges, type HashKeyRange } from "./hash-key.ts";
import { OpenShards } from "./open-shards.ts";
import type { Quotas } from "./quotas.ts";
import { Retention } from "./retention.ts";
import { Shard, type ShardState } from "./shard.ts";
import type { StreamSettings } from "./stream-settings.ts";

/** How often expired records and shards are removed without being read, in milliseconds. */
const SWEEP_MS = 60_000;

export type StreamStatus = "CREATING" | "ACTIVE" | "UPDATING" | "DELETING";

export interface StreamOptions {
  readonly name: string;
  readonly arn: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Number of earlier streams of this name. */
  readonly incarnation: number;
  /** No shard is created before this second since the epoch, so that sequence numbers grow. */
  readonly firstSecond: number;
  readonly settings: StreamSettings;
  readonly quotas: Quotas;
}

/** A stream without its records, serialisable as JSON. */
export interface StreamState extends Omit<StreamOptions, "arn" | "quotas" | "settings"> {
  readonly settings: Omit<StreamSettings, "tags" | "shardLevelMetrics">;
  readonly tags: readonly (readonly [string, string])[];
  readonly shardLevelMetrics: readonly string[];
  readonly shardCount: number;
  readonly latestSecond: number;
  readonly retentionHours: number;
  readonly trimmedTo: number;
  readonly shards: readonly ShardState[];
}

/** A stream: its open and closed shards. A split or merge closes the parents and opens their children. */
export class Stream {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  readonly incarnation: number;
  readonly settings: StreamSettings;
  status: StreamStatus = "ACTIVE";
  readonly #quotas: Quotas;
  readonly #firstSecond: number;
  /** By id, in order of ids. Aged-out shards are removed by `#sweep`. */
  readonly #shards = new Map<string, Shard>();
  #open = new OpenShards([]);
  #retention = new Retention();
  #shardCount = 0;
  #latestSecond = 0;
  #sweptAt: number;

  constructor(options: StreamOptions) {
    this.name = options.name;
    this.arn = options.arn;
    this.createdAt = options.createdAt;
    this.incarnation = options.incarnation;
    this.settings = options.settings;
    this.#quotas = options.quotas;
    this.#firstSecond = options.firstSecond;
    this.#sweptAt = options.createdAt;
  }

  /** Creates a stream of `shardCount` equal shards. */
  static create(options: StreamOptions, shardCount: number): Stream {
    const stream = new Stream(options);
    const { createdAt } = options;
    const shards = uniformRanges(shardCount).map((range) => stream.#addShard(range, [], createdAt));
    stream.#open = new OpenShards(shards);
    return stream;
  }

  /** Creates a stream from its `state()`. */
  static restore(state: StreamState, arn: string, quotas: Quotas): Stream {
    const { settings, tags, shardLevelMetrics } = state;
    const stream = new Stream({
      ...state,
      arn,
      quotas,
      settings: { ...settings, tags: new Map(tags), shardLevelMetrics: new Set(shardLevelMetrics) },
    });
    for (const each of state.shards) {
      const shard = Shard.restore(each, quotas);
      stream.#shards.set(shard.id, shard);
    }
    stream.#shardCount = state.shardCount;
    stream.#latestSecond = state.latestSecond;
    stream.#retention = new Retention(state.retentionHours, state.trimmedTo);
    const open = [...stream.#shards.values()].filter((shard) => shard.closedAt === undefined);
    stream.#open = new OpenShards(open);
    return stream;
  }

  /** Returns the state for `restore`. */
  state(now: number): StreamState {
    const { tags, shardLevelMetrics, ...settings } = this.settings;
    return {
      name: this.name,
      createdAt: this.createdAt,
      incarnation: this.incarnation,
      firstSecond: this.#firstSecond,
      settings,
      tags: [...tags],
      shardLevelMetrics: [...shardLevelMetrics],
      shardCount: this.#shardCount,
      latestSecond: this.#latestSecond,
      retentionHours: this.#retention.hours,
      trimmedTo: this.#retention.expiredBefore(now),
      shards: this.shards(now).map((shard) => shard.state()),
    };
  }

  get open(): OpenShards {
    return this.#open;
  }

  get retention(): Retention {
    return this.#retention;
  }

  /** The creation time of the latest shard in its sequence numbers, in seconds since the epoch. */
  get latestSecond(): number {
    return this.#latestSecond;
  }

  /** The trim horizon, in milliseconds since the epoch. */
  horizon(now: number): number {
    return Math.max(this.createdAt, this.#retention.expiredBefore(now));
  }

  /** The shards in order of their ids, without those closed before the horizon. */
  shards(now: number): readonly Shard[] {
    this.#sweep(now);
    const expired = this.#retention.expiredBefore(now);
    return [...this.#shards.values()].filter((shard) => !hasAgedOut(shard, expired));
  }

  /** A shard after trimming its expired records; undefined if there is none, or it has aged out. */
  shard(id: string, now: number): Shard | undefined {
    this.#sweep(now);
    const shard = this.#shards.get(id);
    const expired = this.#retention.expiredBefore(now);
    if (shard === undefined || hasAgedOut(shard, expired)) return undefined;
    shard.trim(expired);
    return shard;
  }

  /** The shards into which a shard was split or merged. */
  childrenOf(shard: Shard): readonly Shard[] {
    return [...this.#shards.values()].filter(({ parents }) => parents.includes(shard.id));
  }

  /** Splits an open shard in two. @param hashKey the first hash key of the second one */
  split(shard: Shard, hashKey: bigint, now: number): void {
    const { start, end } = shard.range;
    if (hashKey <= start || hashKey > end) throw new RangeError(`${hashKey} does not cut a shard`);
    const ranges = [
      { start, end: hashKey - 1n },
      { start: hashKey, end },
    ];
    this.#replace([shard], ranges, now);
  }

  /** Merges two open shards with adjacent hash keys, in any order. */
  merge(shard: Shard, adjacent: Shard, now: number): void {
    const ascending = shard.range.start < adjacent.range.start;
    const [lower, upper] = ascending ? [shard, adjacent] : [adjacent, shard];
    if (lower.range.end + 1n !== upper.range.start) throw new RangeError("not adjacent shards");
    const range = { start: lower.range.start, end: upper.range.end };
    this.#replace([shard, adjacent], [range], now);
  }

  /** Splits and merges until there are `count` equal open shards. */
  scale(count: number, now: number): void {
    for (const target of uniformRanges(count)) {
      // A shard starts at `target.start` already: hash key 0, or the cut of the previous target.
      const last = this.#open.route(target.end);
      if (last.range.end > target.end) this.split(last, target.end + 1n, now);
      for (;;) {
        const shard = this.#open.route(target.start);
        if (shard.range.end === target.end) break;
        this.merge(shard, this.#open.route(shard.range.end + 1n), now);
      }
    }
  }

  #replace(parents: readonly Shard[], ranges: readonly HashKeyRange[], now: number): void {
    for (const parent of parents) parent.close(now);
    this.#open.replace(
      parents,
      ranges.map((range) => this.#addShard(range, parents, now)),
    );
  }

  #addShard(range: HashKeyRange, parents: readonly Shard[], now: number): Shard {
    // Later than every parent, so that the sequence numbers of a child are above its parents'.
    const afterParents = parents.map((parent) => parent.identity.shardCreatedAt + 1);
    const second = Math.max(Math.floor(now / 1000), this.#firstSecond, ...afterParents);
    this.#latestSecond = Math.max(this.#latestSecond, second);
    const shard = new Shard({
      identity: {
        shardIndex: this.#shardCount++,
        shardCreatedAt: second,
        incarnation: this.incarnation % 256,
      },
      range,
      parents: parents.map(({ id }) => id),
      createdAt: now,
      quotas: this.#quotas,
    });
    this.#shards.set(shard.id, shard);
    return shard;
  }

  /** Removes expired records and aged-out shards. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    const expired = this.#retention.expiredBefore(now);
    for (const shard of this.#shards.values()) {
      shard.trim(expired);
      if (hasAgedOut(shard, expired)) this.#shards.delete(shard.id);
    }
  }
}

function hasAgedOut(shard: Shard, expiredBefore: number): boolean {
  return (shard.closedAt ?? Infinity) < expiredBefore;
}
