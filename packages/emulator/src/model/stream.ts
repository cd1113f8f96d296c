import { uniformRanges, type HashKeyRange } from "./hash-key.ts";
import { OpenShards } from "./open-shards.ts";
import type { Quotas } from "./quotas.ts";
import { Retention } from "./retention.ts";
import { Shard, type ShardState } from "./shard.ts";
import type { StreamSettings } from "./stream-settings.ts";

/** How often shards that nobody reads are looked through for what retention took. */
const SWEEP_MS = 60_000;

export type StreamStatus = "CREATING" | "ACTIVE" | "UPDATING" | "DELETING";

export interface StreamOptions {
  readonly name: string;
  readonly arn: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** How many streams of this name there were before. */
  readonly incarnation: number;
  /** No shard is created before this second since the epoch, so that sequence numbers grow. */
  readonly firstSecond: number;
  readonly settings: StreamSettings;
  readonly quotas: Quotas;
}

/** A stream without its records, as JSON can hold it. */
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

/** A stream: its shards, open and closed. A split or a merge closes parents and opens children. */
export class Stream {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  readonly incarnation: number;
  readonly settings: StreamSettings;
  status: StreamStatus = "ACTIVE";
  readonly #quotas: Quotas;
  readonly #firstSecond: number;
  /** By their ids, in the order of those; without what has aged out. */
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

  /** A new stream of so many equal shards. */
  static create(options: StreamOptions, shardCount: number): Stream {
    const stream = new Stream(options);
    const { createdAt } = options;
    const shards = uniformRanges(shardCount).map((range) => stream.#addShard(range, [], createdAt));
    stream.#open = new OpenShards(shards);
    return stream;
  }

  /** A stream as `state` described it. */
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

  /** All that `restore` needs. */
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

  /** The second since the epoch in which the latest shard counts as created. */
  get latestSecond(): number {
    return this.#latestSecond;
  }

  /** The oldest instant that retention still covers, in milliseconds since the epoch. */
  horizon(now: number): number {
    return Math.max(this.createdAt, this.#retention.expiredBefore(now));
  }

  /** The shards in the order of their ids, without those that ended before the horizon. */
  shards(now: number): readonly Shard[] {
    this.#sweep(now);
    const expired = this.#retention.expiredBefore(now);
    return [...this.#shards.values()].filter((shard) => !hasAgedOut(shard, expired));
  }

  /** A shard that retention still covers, its expired records trimmed. */
  shard(id: string, now: number): Shard | undefined {
    this.#sweep(now);
    const shard = this.#shards.get(id);
    const expired = this.#retention.expiredBefore(now);
    if (shard === undefined || hasAgedOut(shard, expired)) return undefined;
    shard.trim(expired);
    return shard;
  }

  /** The shards that a shard was split or merged into. */
  childrenOf(shard: Shard): readonly Shard[] {
    return [...this.#shards.values()].filter(({ parents }) => parents.includes(shard.id));
  }

  /** Splits an open shard in two; `hashKey` is where the second one starts. */
  split(shard: Shard, hashKey: bigint, now: number): void {
    const { start, end } = shard.range;
    if (hashKey <= start || hashKey > end) throw new RangeError(`${hashKey} does not cut a shard`);
    const ranges = [
      { start, end: hashKey - 1n },
      { start: hashKey, end },
    ];
    this.#replace([shard], ranges, now);
  }

  /** Merges two open shards whose hash keys touch; either may be the lower one. */
  merge(shard: Shard, adjacent: Shard, now: number): void {
    const ascending = shard.range.start < adjacent.range.start;
    const [lower, upper] = ascending ? [shard, adjacent] : [adjacent, shard];
    if (lower.range.end + 1n !== upper.range.start) throw new RangeError("not adjacent shards");
    const range = { start: lower.range.start, end: upper.range.end };
    this.#replace([shard, adjacent], [range], now);
  }

  /** Splits and merges until the open shards are `count` equal ones. */
  scale(count: number, now: number): void {
    for (const target of uniformRanges(count)) {
      // The previous target's cut, or hash key 0, is where this one starts.
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
    // Later than every parent, so that a child's sequence numbers are above its parents'.
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

  /** Drops what retention took from shards that nobody reads. */
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
