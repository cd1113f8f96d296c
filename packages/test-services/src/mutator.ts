/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes with a meaning in encodings: ends of ranges, CBOR heads, JSON punctuation. */
const EDGES = Buffer.concat([
  Buffer.from([0x00, 0x01, 0x18, 0x1b, 0x3b, 0x5f, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xf6, 0xf9]),
  Buffer.from([0xfb, 0xff]),
  Buffer.from('{}[]",:\\-.0123456789eEtfn'),
]);

/**
 * A valid message with one to four changes: a changed bit or byte, a piece that is removed,
 * duplicated, moved or copied from another message, or a truncated end.
 */
export function mutated(
  message: Uint8Array,
  others: readonly Uint8Array[],
  random: () => number,
): Uint8Array {
  const below = (bound: number): number => Math.floor(random() * bound);
  let bytes: Uint8Array = Buffer.from(message);
  for (let changes = 1 + below(4); changes > 0 && bytes.length > 0; changes -= 1) {
    const at = below(bytes.length);
    const to = Math.min(bytes.length, at + 1 + below(16));
    const kind = below(7);
    if (kind === 0) bytes[at]! ^= 1 << below(8);
    else if (kind === 1) bytes[at] = EDGES[below(EDGES.length)]!;
    else if (kind === 2) bytes[at] = below(256);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    else if (kind === 5) {
      const other = others[below(others.length)] ?? message;
      const from = below(other.length);
      const piece = other.subarray(from, from + 1 + below(32));
      bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    } else if (changes === 1) bytes = bytes.slice(0, at);
  }
  return bytes;
}
