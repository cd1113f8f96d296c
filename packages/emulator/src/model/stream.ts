import { uniformRanges, type HashKeyRange } from "./hash-key.ts";
import type { Quotas } from "./quotas.ts";
import { Shard, type ShardState } from "./shard.ts";
import type { StreamSettings } from "./stream-settings.ts";

const HOUR_MS = 3_600_000;
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

/**
 * A stream: its shards, open and closed. The open ones always share out all hash keys without gap
 * or overlap; a split or a merge closes parents and opens children.
 */
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
  #shardCount = 0;
  #turn = -1;
  #latestSecond = 0;
  #retentionHours = 24;
  /** The latest horizon that a change of retention has seen: what was gone then stays gone. */
  #trimmedTo = -Infinity;
  #sweptAt: number;
  /** In the order of their hash keys. */
  #open: readonly Shard[] = [];

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
    stream.#open = uniformRanges(shardCount).map((range) =>
      stream.#addShard(range, [], options.createdAt),
    );
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
    stream.#retentionHours = state.retentionHours;
    stream.#trimmedTo = state.trimmedTo;
    stream.#open = byHashKey(
      [...stream.#shards.values()].filter((shard) => shard.closedAt === undefined),
    );
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
      retentionHours: this.#retentionHours,
      trimmedTo: this.#expiredBefore(now),
      shards: this.shards(now).map((shard) => shard.state()),
    };
  }

  /** The open shards, in the order of their hash keys. */
  get openShards(): readonly Shard[] {
    return this.#open;
  }

  /** The second since the epoch in which the latest shard counts as created. */
  get latestSecond(): number {
    return this.#latestSecond;
  }

  get retentionHours(): number {
    return this.#retentionHours;
  }

  setRetention(hours: number, now: number): void {
    this.#trimmedTo = this.#expiredBefore(now);
    this.#retentionHours = hours;
    this.#trimmedTo = this.#expiredBefore(now);
  }

  /** The oldest instant that retention still covers, in milliseconds since the epoch. */
  horizon(now: number): number {
    return Math.max(this.createdAt, this.#expiredBefore(now));
  }

  /** The shards in the order of their ids, without those that ended before the horizon. */
  shards(now: number): readonly Shard[] {
    this.#sweep(now);
    const expired = this.#expiredBefore(now);
    return [...this.#shards.values()].filter((shard) => !hasAgedOut(shard, expired));
  }

  /** A shard that retention still covers, its expired records trimmed. */
  shard(id: string, now: number): Shard | undefined {
    this.#sweep(now);
    const shard = this.#shards.get(id);
    const expired = this.#expiredBefore(now);
    if (shard === undefined || hasAgedOut(shard, expired)) return undefined;
    shard.trim(expired);
    return shard;
  }

  /** The shards that a shard was split or merged into. */
  childrenOf(shard: Shard): readonly Shard[] {
    return [...this.#shards.values()].filter(({ parents }) => parents.includes(shard.id));
  }

  /** The open shard that a hash key belongs to. */
  route(hashKey: bigint): Shard {
    let low = 0;
    let high = this.#open.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#open[middle]!.range.start <= hashKey) low = middle;
      else high = middle - 1;
    }
    return this.#open[low]!;
  }

  /** The open shards one after another, where no key decides. */
  nextShard(): Shard {
    this.#turn = (this.#turn + 1) % this.#open.length;
    return this.#open[this.#turn]!;
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
      const last = this.route(target.end);
      if (last.range.end > target.end) this.split(last, target.end + 1n, now);
      for (;;) {
        const shard = this.route(target.start);
        if (shard.range.end === target.end) break;
        this.merge(shard, this.route(shard.range.end + 1n), now);
      }
    }
  }

  #replace(parents: readonly Shard[], ranges: readonly HashKeyRange[], now: number): void {
    for (const parent of parents) parent.close(now);
    const children = ranges.map((range) => this.#addShard(range, parents, now));
    this.#open = byHashKey([
      ...this.#open.filter((shard) => !parents.includes(shard)),
      ...children,
    ]);
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
    const expired = this.#expiredBefore(now);
    for (const shard of this.#shards.values()) {
      shard.trim(expired);
      if (hasAgedOut(shard, expired)) this.#shards.delete(shard.id);
    }
  }

  /** A clock that was set back to before the stream's creation lets nothing expire. */
  #expiredBefore(now: number): number {
    return Math.max(this.#trimmedTo, now - this.#retentionHours * HOUR_MS);
  }
}

function byHashKey(shards: readonly Shard[]): readonly Shard[] {
  return shards.toSorted((one, other) => (one.range.start < other.range.start ? -1 : 1));
}

function hasAgedOut(shard: Shard, expiredBefore: number): boolean {
  return (shard.closedAt ?? Infinity) < expiredBefore;
}
