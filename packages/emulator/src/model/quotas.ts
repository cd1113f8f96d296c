import { Budget } from "./budget.ts";

const MIB = 1024 * 1024;

/** Which of the service's quotas are enforced. */
export interface Quotas {
  /** Per shard: 5 GetRecords, 2 MiB and 5 GetShardIterator per second. @default true */
  readonly reads?: boolean;
  /** Per shard: 1,000 records and 1 MiB per second. @default true */
  readonly writes?: boolean;
  /** The call rates of operations on streams, tags, policies and so on. @default true */
  readonly controlPlane?: boolean;
}

/** The quotas of one shard. Times are milliseconds of a monotonic clock. */
export class ShardQuotas {
  readonly #enforced: Quotas;
  readonly #reads = new Budget(5);
  readonly #readBytes = new Budget(2 * MIB);
  readonly #iterators = new Budget(5);
  readonly #writes = new Budget(1000);
  readonly #writeBytes = new Budget(MIB);

  constructor(enforced: Quotas) {
    this.#enforced = enforced;
  }

  /** Whether a GetRecords call is admitted. If so, it is counted. */
  admitRead(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#reads.allows(1, now) || !this.#readBytes.allows(1, now)) return false;
    this.#reads.spend(1);
    return true;
  }

  /** Charges the bytes of a GetRecords reply. */
  chargeRead(bytes: number): void {
    this.#readBytes.spend(bytes);
  }

  /** Whether a GetShardIterator call is admitted. If so, it is counted. */
  admitIterator(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#iterators.allows(1, now)) return false;
    this.#iterators.spend(1);
    return true;
  }

  /** Whether writing a record of `bytes` bytes is admitted. If so, it is charged. */
  admitWrite(bytes: number, now: number): boolean {
    if (this.#enforced.writes === false) return true;
    if (!this.#writes.allows(1, now) || !this.#writeBytes.allows(bytes, now)) return false;
    this.#writes.spend(1);
    this.#writeBytes.spend(bytes);
    return true;
  }
}
