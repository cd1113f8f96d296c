import { BLOCK_BYTES } from "./steps.ts";

/** So many messages are digested at once: two vectors of four. */
export const LANES = 8;
export const VECTOR_LANES = 4;
const VECTOR_BYTES = 16;
/** A message goes through its lane piece by piece. */
export const LANE_BYTES = 4096;
/** Lanes that are a power of two apart would compete for the same lines of the cache. */
const LANE_STRIDE = LANE_BYTES + BLOCK_BYTES;
const STARTS = 512;
const FIRST_LANE = 1024;

/** Messages of one block each are digested from here: so many bytes together, read in blocks. */
export const SHORT_SOURCE = 36_864;
export const SHORT_SOURCE_BYTES = 16_384;
/** So many of them at most. Where each begins, how long it is, and its digest, as vectors of four messages. */
export const MOST_SHORT = 256;
export const SHORT_STARTS = SHORT_SOURCE + SHORT_SOURCE_BYTES + BLOCK_BYTES;
export const SHORT_LENGTHS = SHORT_STARTS + 4 * MOST_SHORT;
export const SHORT_DIGESTS = SHORT_LENGTHS + 4 * MOST_SHORT;

/** All of it fits into one page of WebAssembly. */
export const MEMORY_PAGES = 1;

/** A, B, C or D of four lanes, as a vector. */
export function vectorAt(vector: number, word: number): number {
  return (vector * 4 + word) * VECTOR_BYTES;
}

/** A, B, C or D of one lane: 32 bits, the lowest byte first. */
export function stateAt(lane: number, word: number): number {
  return vectorAt(lane >> 2, word) + 4 * (lane & 3);
}

/** Where the address is from which on the lane is digested. */
export function startAt(lane: number): number {
  return STARTS + 4 * lane;
}

/** An address at which no lane is: nothing has to be digested, and the state is of no use. */
export const IDLE = 0;

/** Where the lane's part of its message is. */
export function laneAt(lane: number): number {
  return FIRST_LANE + lane * LANE_STRIDE;
}

/** A, B, C or D of a short message: four messages' are together, as those of four lanes. */
export function shortDigestAt(index: number, word: number): number {
  return SHORT_DIGESTS + vectorAt(index >> 2, word) + 4 * (index & 3);
}
