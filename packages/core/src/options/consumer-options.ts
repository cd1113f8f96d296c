import type { LeaseStore } from "../checkpoints/lease-store.ts";
import type { StartPosition, Store } from "../checkpoints/store.ts";
import type { Clock } from "../clock.ts";
import type { Group, LeasingGroup } from "../groups/group.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { KinesisClientLike } from "../kinesis/stream-client.ts";
import type { WireOption } from "../kinesis/wire/wire.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Options of a `Consumer`. `docs/configuration.md` gives the bounds of each. */
export interface ConsumerOptions<S extends Store = Store> {
  /** The stream's name or its ARN. With an ARN every call carries it, which reads across accounts need. */
  readonly stream: string;
  /** The name under which progress is kept. Required with a store. @default "default" without one */
  readonly application?: string;
  /** Where progress is kept. @default none: it is kept in memory, and a warning is logged */
  readonly store?: S;
  /** Which shards this process reads. @default new AllGroup() */
  readonly group?: Group;
  /**
   * The SDK's client for all calls. It is never destroyed here.
   * @default a KinesisClient from the environment, created for each scan and destroyed after it
   */
  readonly client?: KinesisClientLike;
  /** Where metrics go. @default none */
  readonly counter?: Counter;
  /** Where log lines go. @default none */
  readonly logger?: Logger;
  /** The source of time and timers, for tests. @default the machine's clock */
  readonly clock?: Clock;
  /** Numbers in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
  /** Where reading begins when the application starts for the first time. @default "LATEST" */
  readonly start?: StartPosition;
  /** Milliseconds from one poll of a shard to the next; less than 200 counts as 200. @default 250 */
  readonly scanIntervalMs?: number;
  /** Polls a shard again at once while it is behind. @default false */
  readonly immediateRescan?: boolean;
  /** The most records that one poll requests, 1 to 10,000. @default 10000 */
  readonly maxRecords?: number;
  /** The format of GetRecords: CBOR, or JSON where the endpoint does not understand CBOR. @default "auto" */
  readonly wire?: WireOption;
  /**
   * Delivers the user records of KPL aggregates one by one. "all" also delivers those whose keys belong
   * to another shard; false delivers an aggregate as one record. @default true
   */
  readonly deaggregate?: Deaggregate;
  /** Milliseconds from one poll of an idle shard to the next where there are many shards. @default 1000 */
  readonly idleIntervalMs?: number;
  /** The most memory that the pages of all shards may take, in bytes. @default 64 MiB */
  readonly maxBufferedBytes?: number;
  /** The fraction of each shard's read quota that this application may use. @default 1 */
  readonly readShare?: number;
  /** Milliseconds from one checkpoint write of a shard to the next; 0 = after each record. @default the store's */
  readonly flushIntervalMs?: number;
  /** Delivery pauses once finished work has waited so many milliseconds for the store. @default 30000 */
  readonly maxUnflushedMs?: number;
  /** How many milliseconds a stop waits for running handlers and the store. @default 20000 */
  readonly drainTimeoutMs?: number;
  /** Milliseconds from one listing of the shards to the next. @default 30000 */
  readonly discoveryIntervalMs?: number;
  /** Called once the end of a closed shard is checkpointed. An error that it throws stops the scan. */
  readonly onShardClosed?: (shardId: string) => unknown;
}

/** The same with a group that needs leases, and so a store that has them. */
export type LeasingConsumerOptions<S extends LeaseStore = LeaseStore> = Omit<
  ConsumerOptions,
  "group" | "store"
> & {
  readonly store: S;
  readonly group: LeasingGroup;
};
