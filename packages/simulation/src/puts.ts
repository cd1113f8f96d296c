import { comparePositions, type ConsumerRecord, type Position } from "@kc/core";
import { Random } from "./random.ts";
import { Violation } from "./violation.ts";

/** A record as it was put: an ordinary one, or a user record of an aggregate. */
export interface NewRecord {
  readonly id: string;
  /** Records of a key have an order over all shards. */
  readonly key: string;
  /** As the handler gets it: it may be one of several keys, in shards where another one decides. */
  readonly partitionKey: string | undefined;
  readonly explicitHashKey?: string | undefined;
  readonly shardId: string;
  readonly position: Position;
  readonly data: Uint8Array;
  /** When the stream took it, in milliseconds since the epoch. */
  readonly arrivedAt: number;
  /** Its keys are those of another shard: nobody has to be given it. */
  readonly mayBeLeftOut?: boolean;
  /** `decode` refuses it. */
  readonly isUndecodable?: boolean;
}

/** A record that was put. */
export interface PutRecord extends Position, Omit<NewRecord, "data" | "position"> {
  /** 1 = the first of its key. */
  readonly number: number;
  /** How long its data are, and what they begin with. */
  readonly bytes: number;
  readonly head: string;
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
  /** How many ids there are, by partition key. */
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

  /** What was put where this record says it comes from. @throws Violation, if it is another one */
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

/** What tells data from others. */
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
