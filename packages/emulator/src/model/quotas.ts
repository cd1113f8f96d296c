import { Budget } from "./budget.ts";

const MIB = 1024 * 1024;

/** Which of the service's quotas are enforced. */
export interface Quotas {
  /** 5 GetRecords a second, 2 MiB a second, 5 GetShardIterator a second. @default true */
  readonly reads?: boolean;
  /** 1,000 records a second and 1 MiB a second. @default true */
  readonly writes?: boolean;
  /** How often each operation on streams, tags, policies … may be called. @default true */
  readonly controlPlane?: boolean;
}

/** One shard's quotas. Times are milliseconds of a monotonic clock. */
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

  /** Whether a GetRecords may begin; it counts as a call if so. */
  admitRead(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#reads.allows(1, now) || !this.#readBytes.allows(1, now)) return false;
    this.#reads.spend(1);
    return true;
  }

  /** Charges the bytes of a GetRecords' reply. */
  chargeRead(bytes: number): void {
    this.#readBytes.spend(bytes);
  }

  /** Whether a GetShardIterator may begin; it counts if so. */
  admitIterator(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#iterators.allows(1, now)) return false;
    this.#iterators.spend(1);
    return true;
  }

  /** Whether a record of `bytes` may be written; it is charged if so. */
  admitWrite(bytes: number, now: number): boolean {
    if (this.#enforced.writes === false) return true;
    if (!this.#writes.allows(1, now) || !this.#writeBytes.allows(bytes, now)) return false;
    this.#writes.spend(1);
    this.#writeBytes.spend(bytes);
    return true;
  }
}
