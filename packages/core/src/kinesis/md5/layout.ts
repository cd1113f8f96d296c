import { BLOCK_BYTES } from "./steps.ts";

/** The number of messages that are digested in parallel: two vectors of four. */
export const LANES = 8;
export const VECTOR_LANES = 4;
const VECTOR_BYTES = 16;
/** The size of a lane. A longer message passes through it piece by piece. */
export const LANE_BYTES = 4096;
/** Not a power of two: then all lanes would compete for the same cache lines. */
const LANE_STRIDE = LANE_BYTES + BLOCK_BYTES;
const STARTS = 512;
const FIRST_LANE = 1024;

/** Where short messages, of one block each, are copied to. They are read in whole blocks. */
export const SHORT_SOURCE = 36_864;
export const SHORT_SOURCE_BYTES = 16_384;
/** The maximum number of short messages; then their starts, lengths and digests, as vectors of four messages. */
export const MAX_SHORT = 256;
export const SHORT_STARTS = SHORT_SOURCE + SHORT_SOURCE_BYTES + BLOCK_BYTES;
export const SHORT_LENGTHS = SHORT_STARTS + 4 * MAX_SHORT;
export const SHORT_DIGESTS = SHORT_LENGTHS + 4 * MAX_SHORT;

/** Everything fits into one page of WebAssembly memory. */
export const MEMORY_PAGES = 1;

/** The address of A, B, C or D of four lanes, as a vector. */
export function vectorAt(vector: number, word: number): number {
  return (vector * 4 + word) * VECTOR_BYTES;
}

/** The address of A, B, C or D of one lane: 32 bits, little-endian. */
export function stateAt(lane: number, word: number): number {
  return vectorAt(lane >> 2, word) + 4 * (lane & 3);
}

/** The address of the lane's current position. */
export function startAt(lane: number): number {
  return STARTS + 4 * lane;
}

/** The position of an idle lane: an address outside all lanes. Its state is meaningless. */
export const IDLE = 0;

/** The address of the lane's blocks. */
export function laneAt(lane: number): number {
  return FIRST_LANE + lane * LANE_STRIDE;
}

/** The address of A, B, C or D of a short message. Four messages form vectors, as four lanes do. */
export function shortDigestAt(index: number, word: number): number {
  return SHORT_DIGESTS + vectorAt(index >> 2, word) + 4 * (index & 3);
}
