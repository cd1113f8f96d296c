import type { LeaseStore } from "../checkpoints/lease-store.ts";
import type { StartPosition, Store } from "../checkpoints/store.ts";
import type { Clock } from "../clock.ts";
import type { Group, LeasingGroup } from "../groups/group.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { KinesisClientLike } from "../kinesis/stream-client.ts";
import type { WireOption } from "../kinesis/wire/wire.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";

/** `docs/configuration.md` has each of these with its bounds. */
export interface ConsumerOptions<S extends Store = Store> {
  /** The stream's name, or its ARN: then every call carries the ARN, as cross-account reads need. */
  readonly stream: string;
  /** The name that progress is kept under. Needed with a store. @default "default" without one */
  readonly application?: string;
  /** Where progress is kept. @default none: this process's memory alone, with a warning */
  readonly store?: S;
  /** Which shards this process reads. @default new AllGroup() */
  readonly group?: Group;
  /** @default a KinesisClient of our own for each scan, from the environment, closed afterwards */
  readonly client?: KinesisClientLike;
  /** @default none */
  readonly counter?: Counter;
  /** @default none */
  readonly logger?: Logger;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Numbers in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
  /** Where the application's very first start begins to read. @default "LATEST" */
  readonly start?: StartPosition;
  /** From the start of one poll of a shard to the next; below 200 counts as 200. @default 250 */
  readonly scanIntervalMs?: number;
  /** Poll again at once while a shard is behind. @default false */
  readonly immediateRescan?: boolean;
  /** The most records one poll asks for, 1 to 10,000. @default 10000 */
  readonly maxRecords?: number;
  /** What GetRecords speaks: CBOR, or JSON where that is not understood. @default "auto" */
  readonly wire?: WireOption;
  /**
   * Are the user records of KPL aggregates delivered one by one? "all" = also those whose keys belong
   * to another shard; false = an aggregate is one record. @default true
   */
  readonly deaggregate?: Deaggregate;
  /** From one poll of an idle shard to the next where the shards are many. @default 1000 */
  readonly idleIntervalMs?: number;
  /** The most memory that pages may take up, over all shards, in bytes. @default 64 MiB */
  readonly maxBufferedBytes?: number;
  /** The part of each shard's read quota that this application may use. @default 1 */
  readonly readShare?: number;
  /** From one checkpoint write of a shard to the next; 0 = after each record. @default the store's */
  readonly flushIntervalMs?: number;
  /** Delivery pauses when finished work has waited so long for the store. @default 30000 */
  readonly maxUnflushedMs?: number;
  /** How long a stop waits for running handlers and the store. @default 20000 */
  readonly drainTimeoutMs?: number;
  /** From one listing of the shards to the next. @default 30000 */
  readonly discoveryIntervalMs?: number;
  /** Called once a closed shard's end is checkpointed. What it throws stops the scan. */
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
