import type { HashKeyRange } from "./hash-key.ts";
import { type Quotas, ShardQuotas } from "./quotas.ts";
import {
  LAST_ORDINAL,
  sequenceNumberBase,
  withOrdinal,
  type ShardIdentity,
} from "./sequence-number.ts";

/** A stored record. */
export interface StoredRecord {
  readonly sequenceNumber: string;
  /** Absent if the producer gave none, which a stream of distribution AUTO allows. */
  readonly partitionKey: string | undefined;
  readonly data: Uint8Array;
  /** Whether the stream was encrypted when the record was written. */
  readonly encrypted: boolean;
  /** Milliseconds since the epoch; never decreases within a shard. */
  readonly arrivedAt: number;
  /** Size of data and partition key, in bytes. */
  readonly size: number;
}

/** A record to be stored. */
export type NewRecord = Omit<StoredRecord, "sequenceNumber" | "arrivedAt">;

export interface ShardOptions {
  readonly identity: ShardIdentity;
  readonly range: HashKeyRange;
  /** The ids of the parents: none, one (split) or two (merge). */
  readonly parents: readonly string[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly quotas: Quotas;
}

/** A shard without its records, serialisable as JSON. */
export interface ShardState extends Pick<ShardOptions, "identity" | "parents" | "createdAt"> {
  readonly range: readonly [string, string];
  readonly closedAt?: number;
  /** The position of the oldest record. */
  readonly first: number;
}

/**
 * A shard: its records in order of arrival, trimmed at the front by retention. The position of a record is its ordinal:
 * 1 for the first record ever written. The position after the last record is where the next one will be.
 */
export class Shard {
  readonly id: string;
  readonly identity: ShardIdentity;
  readonly range: HashKeyRange;
  readonly parents: readonly string[];
  readonly createdAt: number;
  readonly startingSequenceNumber: string;
  readonly quotas: ShardQuotas;
  readonly #records: StoredRecord[] = [];
  #first = 1;
  /** The base of the sequence numbers of the latest second: see `sequenceNumberBase`. */
  #base: { readonly second: number; readonly value: bigint } | undefined;
  #closed: { at: number; endingSequenceNumber: string } | undefined;

  constructor(options: ShardOptions) {
    this.identity = options.identity;
    this.id = shardIdOf(options.identity.shardIndex);
    this.range = options.range;
    this.parents = options.parents;
    this.createdAt = options.createdAt;
    this.quotas = new ShardQuotas(options.quotas);
    this.startingSequenceNumber = this.#number(0n, options.createdAt);
  }

  /** Creates a shard from its `state()`, without records. */
  static restore(state: ShardState, quotas: Quotas): Shard {
    const [start, end] = state.range;
    const shard = new Shard({
      ...state,
      range: { start: BigInt(start), end: BigInt(end) },
      quotas,
    });
    shard.#first = state.first;
    if (state.closedAt !== undefined) shard.close(state.closedAt);
    return shard;
  }

  /** Returns the state for `restore`. */
  state(): ShardState {
    const { identity, range, parents, createdAt, closedAt } = this;
    return {
      identity,
      range: [String(range.start), String(range.end)],
      parents,
      createdAt,
      ...(closedAt === undefined ? {} : { closedAt }),
      first: this.#first,
    };
  }

  /** The records, oldest first. */
  get records(): readonly StoredRecord[] {
    return this.#records;
  }

  /** Appends a stored record when a snapshot is restored. */
  restoreRecord(record: StoredRecord): void {
    this.#records.push(record);
  }

  /** Milliseconds since the epoch; `undefined` while the shard is open. */
  get closedAt(): number | undefined {
    return this.#closed?.at;
  }

  /** When it was closed, if that was before or at `time`. */
  closedAtAsOf(time: number): number | undefined {
    return this.#closed !== undefined && this.#closed.at <= time ? this.#closed.at : undefined;
  }

  get endingSequenceNumber(): string | undefined {
    return this.#closed?.endingSequenceNumber;
  }

  /** The position of the oldest stored record. */
  get first(): number {
    return this.#first;
  }

  /** The position of the next record to be written. */
  get next(): number {
    return this.#first + this.#records.length;
  }

  /** Writes a record and returns it. */
  append(record: NewRecord, now: number): StoredRecord {
    if (this.#closed !== undefined) throw new Error(`${this.id} is closed`);
    const arrivedAt = Math.max(now, this.createdAt, this.#records.at(-1)?.arrivedAt ?? 0);
    const sequenceNumber = this.#number(BigInt(this.next), arrivedAt);
    const stored = {
      sequenceNumber,
      partitionKey: record.partitionKey,
      data: record.data,
      encrypted: record.encrypted,
      arrivedAt,
      size: record.size,
    };
    this.#records.push(stored);
    return stored;
  }

  /** The record at a position; undefined = none. */
  at(position: number): StoredRecord | undefined {
    return this.#records[position - this.#first];
  }

  /** The position of the first record that arrived at `time` or later. */
  positionAt(time: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#records[middle]!.arrivedAt < time) low = middle + 1;
      else high = middle;
    }
    return this.#first + low;
  }

  /** Removes the records that arrived before `horizon`. */
  trim(horizon: number): void {
    const oldest = this.#records[0];
    if (oldest === undefined || oldest.arrivedAt >= horizon) return;
    const count = this.positionAt(horizon) - this.#first;
    this.#records.splice(0, count);
    this.#first += count;
  }

  /** Closes the shard for writing. */
  close(now: number): void {
    const at = Math.max(now, this.createdAt);
    this.#closed = { at, endingSequenceNumber: this.#number(LAST_ORDINAL, at) };
  }

  #number(ordinal: bigint, at: number): string {
    const second = Math.floor(at / 1000);
    if (this.#base?.second !== second) {
      this.#base = { second, value: sequenceNumberBase(this.identity, second) };
    }
    return withOrdinal(this.#base.value, ordinal);
  }
}

/** `shardId-000000000007` for 7. */
export function shardIdOf(index: number): string {
  return `shardId-${String(index).padStart(12, "0")}`;
}
