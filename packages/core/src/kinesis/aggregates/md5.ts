import { hash } from "node:crypto";

const CONSTANTS = Int32Array.from({ length: 64 }, (_, i) =>
  Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32),
);

const BLOCK = 64;
const block = new Uint8Array(BLOCK);
const words = new Int32Array(16);
const state = new Int32Array(4);

/**
 * The MD5 of these bytes. Of a partition key it is found in a third of the time that a call of
 * OpenSSL takes.
 * @param into takes the digest as four words of 32 bits: hash keys are compared by them
 */
export function md5(bytes: Uint8Array, start: number, end: number, into: Uint32Array): void {
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

/** The four rounds of one block. Each has a loop of its own: a choice in each step would double the time. */
function digestBlock(bytes: Uint8Array, at: number): void {
  for (let i = 0, p = at; i < 16; i += 1, p += 4) {
    words[i] = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let i = 0; i < 16; i += 4) {
    a = step(a + (((c ^ d) & b) ^ d) + words[i]! + CONSTANTS[i]!, 7, b);
    d = step(d + (((b ^ c) & a) ^ c) + words[i + 1]! + CONSTANTS[i + 1]!, 12, a);
    c = step(c + (((a ^ b) & d) ^ b) + words[i + 2]! + CONSTANTS[i + 2]!, 17, d);
    b = step(b + (((d ^ a) & c) ^ a) + words[i + 3]! + CONSTANTS[i + 3]!, 22, c);
  }
  for (let i = 16, w = 1; i < 32; i += 4, w += 20) {
    a = step(a + (((b ^ c) & d) ^ c) + words[w & 15]! + CONSTANTS[i]!, 5, b);
    d = step(d + (((a ^ b) & c) ^ b) + words[(w + 5) & 15]! + CONSTANTS[i + 1]!, 9, a);
    c = step(c + (((d ^ a) & b) ^ a) + words[(w + 10) & 15]! + CONSTANTS[i + 2]!, 14, d);
    b = step(b + (((c ^ d) & a) ^ d) + words[(w + 15) & 15]! + CONSTANTS[i + 3]!, 20, c);
  }
  for (let i = 32, w = 5; i < 48; i += 4, w += 12) {
    a = step(a + (b ^ c ^ d) + words[w & 15]! + CONSTANTS[i]!, 4, b);
    d = step(d + (a ^ b ^ c) + words[(w + 3) & 15]! + CONSTANTS[i + 1]!, 11, a);
    c = step(c + (d ^ a ^ b) + words[(w + 6) & 15]! + CONSTANTS[i + 2]!, 16, d);
    b = step(b + (c ^ d ^ a) + words[(w + 9) & 15]! + CONSTANTS[i + 3]!, 23, c);
  }
  for (let i = 48, w = 0; i < 64; i += 4, w += 28) {
    a = step(a + (c ^ (b | ~d)) + words[w & 15]! + CONSTANTS[i]!, 6, b);
    d = step(d + (b ^ (a | ~c)) + words[(w + 7) & 15]! + CONSTANTS[i + 1]!, 10, a);
    c = step(c + (a ^ (d | ~b)) + words[(w + 14) & 15]! + CONSTANTS[i + 2]!, 15, d);
    b = step(b + (d ^ (c | ~a)) + words[(w + 21) & 15]! + CONSTANTS[i + 3]!, 21, c);
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}

function step(sum: number, shift: number, next: number): number {
  return (next + ((sum << shift) | ((sum | 0) >>> (32 - shift)))) | 0;
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
    return hash("md5", bytes, "buffer");
  } catch {
    return undefined;
  }
}
