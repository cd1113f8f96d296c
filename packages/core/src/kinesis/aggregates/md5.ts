import { createHash } from "node:crypto";

/** Four words of 32 bits, from the digest's bytes in their order: hash keys are compared by them. */
export type HashWords = Uint32Array;

/** Rotations of the four rounds, each repeated four times. */
const ROTATIONS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const CONSTANTS = Int32Array.from({ length: 64 }, (_, i) =>
  Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);
/** For each step: which word of the block it takes. */
const WORDS = Uint8Array.from(
  { length: 64 },
  (_, i) => [i, 5 * i + 1, 3 * i + 5, 7 * i][i >> 4]! % 16,
);
const SHIFTS = Uint8Array.from({ length: 64 }, (_, i) => ROTATIONS[(i >> 4) * 4 + (i % 4)]!);

const BLOCK = 64;
const block = new Uint8Array(BLOCK);
const words = new Int32Array(16);
const state = new Int32Array(4);

/**
 * The MD5 of these bytes. Of a partition key it is found in a third of the time that a call of
 * OpenSSL takes.
 * @param into takes the digest
 */
export function md5(bytes: Uint8Array, start: number, end: number, into: HashWords): void {
  state[0] = 0x67452301;
  state[1] = 0xefcdab89 | 0;
  state[2] = 0x98badcfe | 0;
  state[3] = 0x10325476;
  let at = start;
  for (; end - at >= BLOCK; at += BLOCK) digestBlock(bytes, at);
  const length = end - start;
  const rest = end - at;
  for (let i = 0; i < rest; i += 1) block[i] = bytes[at + i]!;
  block[rest] = 0x80;
  block.fill(0, rest + 1);
  if (rest >= BLOCK - 8) {
    digestBlock(block, 0);
    block.fill(0);
  }
  // The length in bits, in 64 bits, the lowest byte first.
  for (let i = 0, left = length * 8; i < 8; i += 1, left = Math.floor(left / 256)) {
    block[BLOCK - 8 + i] = left % 256;
  }
  digestBlock(block, 0);
  for (let i = 0; i < 4; i += 1) into[i] = swapped(state[i]!);
}

function digestBlock(bytes: Uint8Array, at: number): void {
  for (let i = 0, p = at; i < 16; i += 1, p += 4) {
    words[i] = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let i = 0; i < 64; i += 1) {
    const mixed =
      i < 16 ? (b & c) | (~b & d) : i < 32 ? (d & b) | (~d & c) : i < 48 ? b ^ c ^ d : c ^ (b | ~d);
    const sum = (a + mixed + CONSTANTS[i]! + words[WORDS[i]!]!) | 0;
    const shift = SHIFTS[i]!;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}

function swapped(word: number): number {
  return (
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
  );
}

const digest = new Uint32Array(4);

/** Do these bytes end in the MD5 of the rest? @param end of the rest; 16 bytes follow it */
export function endsInItsMd5(bytes: Uint8Array, start: number, end: number): boolean {
  const native = nativeMd5(bytes.subarray(start, end));
  if (native !== undefined) {
    for (let i = 0; i < 16; i += 1) if (native[i] !== bytes[end + i]) return false;
    return true;
  }
  md5(bytes, start, end, digest);
  for (let i = 0; i < 16; i += 1) {
    if ((digest[i >> 2]! >>> (24 - 8 * (i & 3))) % 256 !== bytes[end + i]) return false;
  }
  return true;
}

/** Undefined where OpenSSL refuses MD5, as in FIPS mode: a checksum is no cryptography. */
function nativeMd5(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return createHash("md5").update(bytes).digest();
  } catch {
    return undefined;
  }
}
