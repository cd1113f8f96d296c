import { comparePositions, type ConsumerRecord, type Position } from "@kc/core";
import { Random } from "./random.ts";
import { Violation } from "./violation.ts";

/** A record as it was put: an ordinary one, or a user record of an aggregate. */
export interface NewRecord {
  readonly id: string;
  /** The key whose records are ordered over all shards. */
  readonly key: string;
  /**
   * The partition key that the handler gets. A key may have several, if another key decides the
   * shard.
   */
  readonly partitionKey: string | undefined;
  readonly explicitHashKey?: string | undefined;
  readonly shardId: string;
  readonly position: Position;
  readonly data: Uint8Array;
  /** When it arrived in the stream, in milliseconds since the epoch. */
  readonly arrivedAt: number;
  /** True if its keys belong to another shard, so that it need not be delivered. */
  readonly mayBeLeftOut?: boolean;
  /** True if `decode` rejects it. */
  readonly isUndecodable?: boolean;
}

/** A record that was put. */
export interface PutRecord extends Position, Omit<NewRecord, "data" | "position"> {
  /** Its number within its key, from 1. */
  readonly number: number;
  /** The length of its data, and their beginning. */
  readonly bytes: number;
  readonly head: string;
  /** In [0, 1): handlers always fail for the record if this is below the plan's fraction. */
  readonly poison: number;
  /** The record before it in its shard, and the one before it with its key. */
  readonly before: PutRecord | undefined;
  readonly beforeInKey: PutRecord | undefined;
  /** True once it has expired. */
  isTrimmed: boolean;
}

/** Which records were put, in which order. */
export class Puts {
  /** The number of ids, by partition key. */
  readonly #counts = new Map<string, number>();
  readonly #byKey = new Map<string, PutRecord[]>();
  readonly #byShard = new Map<string, PutRecord[]>();
  readonly #byPlace = new Map<string, PutRecord>();

  nextId(partitionKey: string): string {
    const number = (this.#counts.get(partitionKey) ?? 0) + 1;
    this.#counts.set(partitionKey, number);
    return `${partitionKey}:${number}`;
  }

  add({ position, data, ...own }: NewRecord): void {
    const { shardId, key, partitionKey } = own;
    const records = this.of(shardId);
    const before = records.at(-1);
    if (before !== undefined && comparePositions(before, position) >= 0) {
      throw new Error(`${shardId}: records are to be added in their order`);
    }
    const ofKey = this.#byKey.get(key) ?? [];
    const record: PutRecord = {
      ...own,
      ...position,
      number: ofKey.length + 1,
      bytes: data.byteLength,
      head: headOf(data),
      poison: new Random(Math.imul(this.#byPlace.size + 1, 0x9e3779b1)).next(),
      before,
      beforeInKey:
        partitionKey === undefined
          ? undefined
          : records.findLast((one) => one.partitionKey === partitionKey),
      isTrimmed: false,
    };
    records.push(record);
    this.#byShard.set(shardId, records);
    this.#byPlace.set(placeOf(shardId, position), record);
    ofKey.push(record);
    this.#byKey.set(key, ofKey);
  }

  /** The records of a shard that have not expired, in order. */
  of(shardId: string): PutRecord[] {
    return this.#byShard.get(shardId) ?? [];
  }

  /** The records of a key, in order. */
  ofKey(key: string): readonly PutRecord[] {
    return this.#byKey.get(key) ?? [];
  }

  /** @throws Violation, if no such record was put */
  at(shardId: string, position: Position): PutRecord {
    const record = this.#byPlace.get(placeOf(shardId, position));
    if (record === undefined) {
      throw new Violation(`${shardId}: nothing was put at ${position.sequenceNumber}`);
    }
    return record;
  }

  /**
   * The record that was put at this record's position. @throws Violation, if it is a different one
   */
  get(record: ConsumerRecord): PutRecord {
    const put = this.at(record.shardId, positionOf(record));
    const isSame =
      put.partitionKey === record.partitionKey &&
      put.explicitHashKey === record.explicitHashKey &&
      (put.subSequenceNumber !== undefined) === record.aggregated &&
      put.bytes === record.data.byteLength &&
      put.head === headOf(record.data);
    if (isSame) return put;
    const what = `${record.partitionKey}, ${record.explicitHashKey}, ${headOf(record.data)}`;
    throw new Violation(`${put.id} of ${put.shardId} came as ${what}`);
  }

  /** Marks all records so far as expired, and returns them. */
  trim(): readonly PutRecord[] {
    const trimmed = [...this.#byShard.values()].flat();
    for (const record of trimmed) record.isTrimmed = true;
    this.#byShard.clear();
    return trimmed;
  }

  *[Symbol.iterator](): Generator<PutRecord> {
    for (const records of this.#byKey.values()) yield* records;
  }
}

/** The beginning of the data, which identifies it. */
export function headOf(data: Uint8Array): string {
  return Buffer.from(data.subarray(0, 64)).toString("latin1");
}

export function positionOf({
  sequenceNumber,
  subSequenceNumber: sub,
}: {
  readonly sequenceNumber: string;
  readonly subSequenceNumber?: number | undefined;
}): Position {
  return sub === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: sub };
}

function placeOf(shardId: string, { sequenceNumber, subSequenceNumber }: Position): string {
  return `${shardId} ${sequenceNumber} ${subSequenceNumber ?? ""}`;
}
