import type { ConsumerRecord } from "../../record.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { Distribution } from "../distribution.ts";
import type { HashKeyRange } from "../hash-key-range.ts";
import { Aggregate } from "./aggregate.ts";
import { ShardKeys } from "./shard-keys.ts";

/**
 * How KPL aggregates are delivered: true = as their user records, without those whose keys belong to another shard;
 * "all" = with those; false = as one record.
 */
export type Deaggregate = boolean | "all";

export interface ShardAggregatesOptions {
  readonly shardId: string;
  /** As `ShardAssignment.hashKeyRange`. */
  readonly hashKeyRange: () => HashKeyRange | undefined;
  readonly deaggregate: Exclude<Deaggregate, false>;
  readonly distribution: Distribution;
  readonly telemetry: Telemetry;
}

/**
 * Opens the aggregates of one shard. An aggregate from before a reshard may have user records whose keys belong to
 * other shards. They are left out, because the KPL puts them again. If keys do not decide the shard, or if that is
 * unknown, they are delivered. Both are counted.
 */
export class ShardAggregates {
  readonly #options: ShardAggregatesOptions;
  #range: HashKeyRange | undefined;
  #keys: ShardKeys | undefined;
  #reported = false;

  constructor(options: ShardAggregatesOptions) {
    this.#options = options;
  }

  /**
   * Returns undefined if the record is not an aggregate.
   * @param record has the frame of an aggregate
   * @param after the sub-sequence number behind which reading resumes: user records up to it are not counted
   */
  open(record: ConsumerRecord, after = -1): Aggregate | undefined {
    const { deaggregate, distribution } = this.#options;
    const keys = this.#shardKeys();
    const aggregate = Aggregate.open(record, {
      keys,
      mayLeaveOut: () => deaggregate !== "all" && distribution.isByKey(),
      after,
    });
    if (aggregate !== undefined && aggregate.outOfRange > 0) this.#report(aggregate);
    return aggregate;
  }

  /** Undefined = every key belongs to the shard, or its range is unknown. */
  #shardKeys(): ShardKeys | undefined {
    const range = this.#options.hashKeyRange();
    if (range !== this.#range) {
      const keys = range && new ShardKeys(range);
      this.#range = range;
      this.#keys = keys?.hasAll ? undefined : keys;
    }
    return this.#keys;
  }

  #report({ outOfRange, leavesOut }: Aggregate): void {
    const { shardId, telemetry } = this.#options;
    const outcome = leavesOut ? "left-out" : "delivered";
    telemetry.add("out_of_range_records", outOfRange, { shardId, outcome });
    if (this.#reported || !leavesOut) return;
    this.#reported = true;
    telemetry.warn(
      "user records whose keys belong to other shards are left out: the KPL puts them again after a " +
        'reshard. If their producer does not, set deaggregate: "all"',
      { shardId, count: outOfRange },
    );
  }
}
