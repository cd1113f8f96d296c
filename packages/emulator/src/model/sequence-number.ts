/**
 * A sequence number in the service's layout: a 186-bit integer, written as 56 decimal digits that start with 49. From
 * the most significant bits to the least:
 *
 * | bits | holds                                                     |
 * | ---- | --------------------------------------------------------- |
 * | 2    | `10`, which fixes the length of the number                 |
 * | 36   | when the shard was created, in seconds since the epoch     |
 * | 4    | the low bits of the shard's index                          |
 * | 64   | the record's ordinal in the shard                          |
 * | 8    | which incarnation of the stream's name this is, modulo 256 |
 * | 36   | when the record arrived, in seconds since the epoch        |
 * | 32   | the shard's index                                          |
 * | 4    | the layout's version, 2                                    |
 */
export interface SequenceNumber extends ShardIdentity {
  /** The position of the record in its shard, from 1; 0 = the start of the shard, `LAST_ORDINAL` = its end. */
  readonly ordinal: bigint;
  /** Seconds since the epoch. */
  readonly arrivedAt: number;
}

/** The part of a sequence number that identifies the shard. */
export interface ShardIdentity {
  readonly shardIndex: number;
  /** Seconds since the epoch. */
  readonly shardCreatedAt: number;
  readonly incarnation: number;
}

/** The ordinal of the ending sequence number of a closed shard. */
export const LAST_ORDINAL: bigint = (1n << 63n) - 1n;

const VERSION = 2n;

export function formatSequenceNumber(number: SequenceNumber): string {
  return withOrdinal(sequenceNumberBase(number, number.arrivedAt), number.ordinal);
}

/** A sequence number without its ordinal: equal for all records of a shard within one second. */
export function sequenceNumberBase(shard: ShardIdentity, arrivedAt: number): bigint {
  const index = BigInt(shard.shardIndex);
  return (
    (2n << 184n) |
    (BigInt(shard.shardCreatedAt) << 148n) |
    ((index & 15n) << 144n) |
    (BigInt(shard.incarnation) << 72n) |
    (BigInt(arrivedAt) << 36n) |
    (index << 4n) |
    VERSION
  );
}

/** The sequence number of an ordinal. */
export function withOrdinal(base: bigint, ordinal: bigint): string {
  return (base | (ordinal << 80n)).toString();
}

/** Parses a sequence number; undefined = it is none. */
export function parseSequenceNumber(text: string): SequenceNumber | undefined {
  if (!/^[1-9]\d{55}$/.test(text)) return undefined;
  const value = BigInt(text);
  const bits = (from: bigint, width: bigint): bigint => (value >> from) & ((1n << width) - 1n);
  const index = bits(4n, 32n);
  const valid =
    value >> 184n === 2n && bits(0n, 4n) === VERSION && bits(144n, 4n) === (index & 15n);
  if (!valid) return undefined;
  return {
    shardIndex: Number(index),
    shardCreatedAt: Number(bits(148n, 36n)),
    incarnation: Number(bits(72n, 8n)),
    ordinal: bits(80n, 64n),
    arrivedAt: Number(bits(36n, 36n)),
  };
}
