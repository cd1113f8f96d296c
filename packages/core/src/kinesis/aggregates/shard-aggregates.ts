import type { ConsumerRecord } from "../../record.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { Distribution } from "../distribution.ts";
import type { HashKeyRange } from "../hash-key-range.ts";
import { Aggregate } from "./aggregate.ts";
import { ShardKeys } from "./shard-keys.ts";

/**
 * What becomes of KPL aggregates: true = their user records are delivered, but for those whose keys
 * belong to another shard; "all" = those too; false = an aggregate is delivered as one record.
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
 * Opens the aggregates of one shard. An aggregate that was made before a reshard may have user records
 * whose keys belong to other shards. The KPL puts these again, so they are left out; where keys do not
 * decide the shard, or it is not known whether they do, they are delivered. Both are counted.
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
   * Undefined = the record is no aggregate.
   * @param record is in the frame of one
   * @param counts reports its user records of other shards
   */
  open(record: ConsumerRecord, counts: boolean): Aggregate | undefined {
    const { deaggregate, distribution } = this.#options;
    const keys = this.#shardKeys();
    const aggregate = Aggregate.open(record, {
      keys,
      mayLeaveOut: () => deaggregate !== "all" && distribution.isByKey(),
    });
    if (counts && aggregate !== undefined && aggregate.outOfRange > 0) this.#report(aggregate);
    return aggregate;
  }

  /** Undefined = all keys are the shard's, or it is not known which. */
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
