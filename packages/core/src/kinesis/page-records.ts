import type { _Record as SdkRecord } from "@aws-sdk/client-kinesis";
import { ConsumerRecord } from "../record.ts";
import { beginsLikeAggregate } from "./aggregates/magic.ts";

/** The records of a page. Each is created on demand, because a page may wait in the buffer. */
export interface PageRecords {
  readonly length: number;
  /** Bytes of data and partition keys, as the shard's quota of 2 MiB/s counts them. */
  readonly payloadBytes: number;
  /** Memory that the page keeps alive, in bytes. */
  readonly heldBytes: number;
  sequenceNumber(index: number): string;
  /** Whether the record's data begin with the magic number of a KPL aggregate. */
  beginsLikeAggregate(index: number): boolean;
  data(index: number): Uint8Array;
  /** `approximateArrivalMs` of the record; 0 if the service does not report it. */
  arrivalMs(index: number): number;
  record(index: number, shardId: string, millisBehindLatest: number): ConsumerRecord;
}

/** Estimated memory of a decoded record beside its data, in bytes: two strings, a date, objects. */
const RECORD_OVERHEAD_BYTES = 300;
const EMPTY = new Uint8Array(0);

/** The quota counts a key in UTF-8. */
function keyBytes(key: string | undefined): number {
  return key === undefined || key === null ? 0 : Buffer.byteLength(key);
}

/** Records that were decoded by the SDK, or by another client. */
export class DecodedRecords implements PageRecords {
  readonly payloadBytes: number;
  readonly #records: readonly SdkRecord[];

  constructor(records: readonly SdkRecord[]) {
    this.#records = records;
    let bytes = 0;
    for (const { Data, PartitionKey } of records) {
      bytes += (Data?.byteLength ?? 0) + keyBytes(PartitionKey);
    }
    this.payloadBytes = bytes;
  }

  get length(): number {
    return this.#records.length;
  }

  get heldBytes(): number {
    return this.payloadBytes + this.length * RECORD_OVERHEAD_BYTES;
  }

  sequenceNumber(index: number): string {
    return this.#records[index]?.SequenceNumber ?? "";
  }

  beginsLikeAggregate(index: number): boolean {
    return beginsLikeAggregate(this.data(index), 0);
  }

  data(index: number): Uint8Array {
    return this.#records[index]?.Data ?? EMPTY;
  }

  arrivalMs(index: number): number {
    return Number(this.#records[index]?.ApproximateArrivalTimestamp ?? 0);
  }

  record(index: number, shardId: string, millisBehindLatest: number): ConsumerRecord {
    const source = this.#records[index]!;
    return new ConsumerRecord({
      data: source.Data ?? EMPTY,
      partitionKey: source.PartitionKey ?? undefined,
      explicitHashKey: undefined,
      sequenceNumber: source.SequenceNumber ?? "",
      subSequenceNumber: undefined,
      aggregated: false,
      approximateArrivalMs: this.arrivalMs(index),
      shardId,
      millisBehindLatest,
      encryptionType: source.EncryptionType,
    });
  }
}
