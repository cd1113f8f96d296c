import type { LeaseStore } from "../checkpoints/lease-store.ts";
import type { StartPosition, Store } from "../checkpoints/store.ts";
import type { Clock } from "../clock.ts";
import type { Group, LeasingGroup } from "../groups/group.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { KinesisClientLike } from "../kinesis/kinesis-client-like.ts";
import type { WireOption } from "../kinesis/wire/wire.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Options of a `Consumer`. `docs/configuration.md` lists their bounds. */
export interface ConsumerOptions<S extends Store = Store> {
  /** Name or ARN of the stream. Reading a stream of another account requires the ARN. */
  readonly stream: string;
  /** Name under which the store keeps progress. Required with a store. @default "default" without one */
  readonly application?: string;
  /** Where progress is stored. @default none: progress is kept in memory, and a warning is logged */
  readonly store?: S;
  /** Decides which shards this process reads. @default new AllGroup() */
  readonly group?: Group;
  /**
   * The SDK client for all calls. The consumer never destroys it.
   * @default a KinesisClient configured by the environment, created for each scan and destroyed after it
   */
  readonly client?: KinesisClientLike;
  /** Receives metrics. @default none */
  readonly counter?: Counter;
  /** Receives log lines. @default none */
  readonly logger?: Logger;
  /** Source of time and timers, for tests. @default the system clock */
  readonly clock?: Clock;
  /** Returns random numbers in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
  /** Where reading begins on the application's first start. Ignored once it has progress. @default "LATEST" */
  readonly start?: StartPosition;
  /** Milliseconds between polls of a shard; values below 200 count as 200. @default 250 */
  readonly scanIntervalMs?: number;
  /** Whether to poll a shard again without waiting while it is behind the tip. @default false */
  readonly immediateRescan?: boolean;
  /** Maximum number of records per poll, 1 to 10,000. @default 10000 */
  readonly maxRecords?: number;
  /** Wire format of GetRecords. "auto" uses CBOR, and JSON if the endpoint does not support CBOR. @default "auto" */
  readonly wire?: WireOption;
  /**
   * Whether to deliver each user record of a KPL aggregate. `true` leaves out user records whose key belongs to
   * another shard, `"all"` delivers them too, `false` delivers an aggregate as one record. @default true
   */
  readonly deaggregate?: Deaggregate;
  /** Milliseconds between polls of an idle shard if there are many shards. @default 1000 */
  readonly idleIntervalMs?: number;
  /** Maximum memory for buffered pages of all shards, in bytes. @default 64 MiB */
  readonly maxBufferedBytes?: number;
  /** Fraction of each shard's read quota that this application may use, above 0 and at most 1. @default 1 */
  readonly readShare?: number;
  /** Milliseconds between checkpoint writes of a shard; 0 = after each record. @default the store's */
  readonly flushIntervalMs?: number;
  /** Pauses delivery when a finished record has not been checkpointed for this many milliseconds. @default 30000 */
  readonly maxUnflushedMs?: number;
  /** Maximum milliseconds that a stop waits for running handlers and for the store. @default 20000 */
  readonly drainTimeoutMs?: number;
  /** Milliseconds between listings of the stream's shards. @default 30000 */
  readonly discoveryIntervalMs?: number;
  /** Called when the end of a closed shard is checkpointed. If it throws, the scan stops. @default none */
  readonly onShardClosed?: (shardId: string) => unknown;
}

/** Options of a `Consumer` with a leasing group, which requires a store that has leases. */
export type LeasingConsumerOptions<S extends LeaseStore = LeaseStore> = Omit<
  ConsumerOptions,
  "group" | "store"
> & {
  readonly store: S;
  readonly group: LeasingGroup;
};
