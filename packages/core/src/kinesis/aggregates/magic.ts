/** The first bytes of an aggregate of the Kinesis Producer Library (KPL). */
const MAGIC = [0xf3, 0x89, 0x9a, 0xc2] as const;
export const MAGIC_BYTES = MAGIC.length;

/** @param start offset of the record's data */
export function beginsLikeAggregate(bytes: Uint8Array, start: number): boolean {
  return (
    bytes[start] === MAGIC[0] &&
    bytes[start + 1] === MAGIC[1] &&
    bytes[start + 2] === MAGIC[2] &&
    bytes[start + 3] === MAGIC[3]
  );
}
