const decoder = new TextDecoder();

/** A record as the handler gets it. `Value` is the type of what `decode` makes of it. */
export class ConsumerRecord<Value = unknown> {
  /** The bytes as they were put. May be a view on the whole page's memory: see `copy()`. */
  readonly data: Uint8Array;
  /**
   * Absent where the producer gave none, which streams whose records are distributed automatically
   * (`RecordDistributionStrategy: AUTO`) allow. Such a record has no order to keep.
   */
  readonly partitionKey: string | undefined;
  /** The explicit hash key of a user record; undefined = none, or an ordinary record: the service does not report it. */
  readonly explicitHashKey: string | undefined;
  /**
   * A decimal string of up to 56 digits, increasing within the shard. Unique but for the user records
   * of one aggregate, which share it.
   */
  readonly sequenceNumber: string;
  /** Index of a user record inside its KPL aggregate; undefined = it did not come in one. */
  readonly subSequenceNumber: number | undefined;
  /** True for a user record of a KPL aggregate. */
  readonly aggregated: boolean;
  /** When the service received the record, in milliseconds since the epoch. */
  readonly approximateArrivalMs: number;
  readonly shardId: string;
  /** How far this record's page was behind the tip of the shard, in milliseconds. */
  readonly millisBehindLatest: number;
  readonly encryptionType: "NONE" | "KMS" | undefined;
  /** What `decode` made of the record; undefined without it. */
  readonly value: Value;

  constructor(fields: RecordFields<Value>) {
    this.data = fields.data;
    this.partitionKey = fields.partitionKey;
    this.explicitHashKey = fields.explicitHashKey;
    this.sequenceNumber = fields.sequenceNumber;
    this.subSequenceNumber = fields.subSequenceNumber;
    this.aggregated = fields.aggregated ?? false;
    this.approximateArrivalMs = fields.approximateArrivalMs;
    this.shardId = fields.shardId;
    this.millisBehindLatest = fields.millisBehindLatest;
    this.encryptionType = fields.encryptionType;
    // Without a decoder, Value is undefined or unknown.
    this.value = fields.value as Value;
  }

  /**
   * `approximateArrivalMs` as a `Date`, a new one for each read: few handlers read it, and creating a `Date` takes
   * longer than creating the record. It is a getter of the class, so `{ ...record }` and `structuredClone(record)`
   * have `approximateArrivalMs` only.
   */
  get approximateArrivalTimestamp(): Date {
    return new Date(this.approximateArrivalMs);
  }

  /** The data as UTF-8 text; malformed bytes become U+FFFD. */
  text(): string {
    return decoder.decode(this.data);
  }

  /** The data parsed as JSON. @throws SyntaxError that names the record and quotes none of it */
  json<T = unknown>(): T {
    try {
      return JSON.parse(this.text()) as T;
    } catch {
      throw new SyntaxError(`record ${this.sequenceNumber} of ${this.shardId} is not JSON`);
    }
  }

  /** The same record with a copy of its data, to be kept for longer than its page. */
  copy(): ConsumerRecord<Value> {
    // All fields are the instance's own. Methods and getters belong to the class.
    // oxlint-disable-next-line typescript/no-misused-spread
    return new ConsumerRecord({ ...this, data: this.data.slice() });
  }
}

/** The fields of a `ConsumerRecord`. */
export interface RecordFields<Value = unknown> {
  readonly data: Uint8Array;
  readonly partitionKey: string | undefined;
  readonly explicitHashKey?: string | undefined;
  readonly sequenceNumber: string;
  readonly subSequenceNumber: number | undefined;
  readonly aggregated?: boolean;
  readonly approximateArrivalMs: number;
  readonly shardId: string;
  readonly millisBehindLatest: number;
  readonly encryptionType: "NONE" | "KMS" | undefined;
  readonly value?: Value;
}
