/** The 64 steps of MD5 as RFC 1321 defines them: four rounds of sixteen. */

export const BLOCK_BYTES = 64;
/** A, B, C and D before the first block. */
export const INITIAL_STATE = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476] as const;
/** The constant of each step. */
export const CONSTANTS = Int32Array.from(
  { length: 64 },
  (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0,
);

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/** The number of bits that the step rotates by. */
export function shiftOf(step: number): number {
  return SHIFTS[4 * roundOf(step) + (step % 4)]!;
}

/** The index of the block's word that the step uses. */
export function wordOf(step: number): number {
  const round = roundOf(step);
  if (round === 0) return step;
  if (round === 1) return (5 * step + 1) % 16;
  return round === 2 ? (3 * step + 5) % 16 : (7 * step) % 16;
}

/** From 0. Each round combines B, C and D with a different function. */
export function roundOf(step: number): number {
  return step >> 4;
}
