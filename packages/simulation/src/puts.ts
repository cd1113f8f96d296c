import { comparePositions, type ConsumerRecord, type Position } from "@kc/core";
import { Random } from "./random.ts";
import { Violation } from "./violation.ts";

/** A record that was put. */
export interface PutRecord extends Position {
  readonly id: string;
  readonly key: string;
  /** 1 = the first of its key. */
  readonly number: number;
  readonly shardId: string;
  /** Of its data. */
  readonly bytes: number;
  /** When the stream took it, in milliseconds since the epoch. */
  readonly arrivedAt: number;
  /** In [0, 1): handlers fail each time where it is below a plan's share. */
  readonly poison: number;
  /** The one before it in its shard, and the one of its key. */
  readonly before: PutRecord | undefined;
  readonly beforeInKey: PutRecord | undefined;
  /** Retention took it. */
  isTrimmed: boolean;
}

/** Which records were put, in which order. */
export class Puts {
  /** How many were put, by key. */
  readonly #counts = new Map<string, number>();
  readonly #byKey = new Map<string, PutRecord[]>();
  readonly #byShard = new Map<string, PutRecord[]>();
  readonly #byPlace = new Map<string, PutRecord>();

  nextNumber(key: string): number {
    const number = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, number);
    return number;
  }

  add(
    shardId: string,
    { key, number, bytes, arrivedAt }: Pick<PutRecord, "key" | "number" | "bytes" | "arrivedAt">,
    position: Position,
  ): void {
    const records = this.of(shardId);
    const before = records.at(-1);
    if (before !== undefined && comparePositions(before, position) >= 0) {
      throw new Error(`${shardId}: records are to be added in their order`);
    }
    const record: PutRecord = {
      id: `${key}:${number}`,
      key,
      number,
      shardId,
      ...position,
      bytes,
      arrivedAt,
      poison: new Random(Math.imul(this.#byPlace.size + 1, 0x9e3779b1)).next(),
      before,
      beforeInKey: records.findLast((one) => one.key === key),
      isTrimmed: false,
    };
    records.push(record);
    this.#byShard.set(shardId, records);
    this.#byPlace.set(placeOf(shardId, position), record);
    const ofKey = this.#byKey.get(key) ?? [];
    ofKey.push(record);
    this.#byKey.set(key, ofKey);
  }

  /** The records of a shard that are there, in order. */
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

  /** What was put where this record says it comes from. @throws Violation, if it has other data */
  get(record: ConsumerRecord): PutRecord {
    const put = this.at(record.shardId, positionOf(record));
    const head = Buffer.from(record.data.subarray(0, 64)).toString();
    if (put.key !== record.partitionKey || !head.startsWith(`${put.id};`)) {
      throw new Violation(
        `${put.id} of ${put.shardId} came as ${head.slice(0, head.indexOf(";"))}`,
      );
    }
    return put;
  }

  /** Retention took all that was put so far. Answers with it. */
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

/** A record's data: its key, its number, and as much more as makes it so large. */
export function dataOf(key: string, number: number, bytes: number): Uint8Array {
  const head = Buffer.from(`${key}:${number};`);
  const data = new Uint8Array(Math.max(bytes, head.length));
  data.set(head);
  return data;
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
