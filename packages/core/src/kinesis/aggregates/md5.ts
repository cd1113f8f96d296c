import { hash } from "node:crypto";

const BLOCK = 64;
const block = new Uint8Array(BLOCK);
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

/**
 * The four rounds of one block, step by step as RFC 1321 has them, so that words and constants lie in
 * registers: loops over arrays take half as long again.
 */
function digestBlock(bytes: Uint8Array, at: number): void {
  const w0 = wordAt(bytes, at);
  const w1 = wordAt(bytes, at + 4);
  const w2 = wordAt(bytes, at + 8);
  const w3 = wordAt(bytes, at + 12);
  const w4 = wordAt(bytes, at + 16);
  const w5 = wordAt(bytes, at + 20);
  const w6 = wordAt(bytes, at + 24);
  const w7 = wordAt(bytes, at + 28);
  const w8 = wordAt(bytes, at + 32);
  const w9 = wordAt(bytes, at + 36);
  const w10 = wordAt(bytes, at + 40);
  const w11 = wordAt(bytes, at + 44);
  const w12 = wordAt(bytes, at + 48);
  const w13 = wordAt(bytes, at + 52);
  const w14 = wordAt(bytes, at + 56);
  const w15 = wordAt(bytes, at + 60);
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  a = (a + (((c ^ d) & b) ^ d) + w0 - 0x28955b88) | 0;
  a = (b + ((a << 7) | (a >>> 25))) | 0;
  d = (d + (((b ^ c) & a) ^ c) + w1 - 0x173848aa) | 0;
  d = (a + ((d << 12) | (d >>> 20))) | 0;
  c = (c + (((a ^ b) & d) ^ b) + w2 + 0x242070db) | 0;
  c = (d + ((c << 17) | (c >>> 15))) | 0;
  b = (b + (((d ^ a) & c) ^ a) + w3 - 0x3e423112) | 0;
  b = (c + ((b << 22) | (b >>> 10))) | 0;
  a = (a + (((c ^ d) & b) ^ d) + w4 - 0xa83f051) | 0;
  a = (b + ((a << 7) | (a >>> 25))) | 0;
  d = (d + (((b ^ c) & a) ^ c) + w5 + 0x4787c62a) | 0;
  d = (a + ((d << 12) | (d >>> 20))) | 0;
  c = (c + (((a ^ b) & d) ^ b) + w6 - 0x57cfb9ed) | 0;
  c = (d + ((c << 17) | (c >>> 15))) | 0;
  b = (b + (((d ^ a) & c) ^ a) + w7 - 0x2b96aff) | 0;
  b = (c + ((b << 22) | (b >>> 10))) | 0;
  a = (a + (((c ^ d) & b) ^ d) + w8 + 0x698098d8) | 0;
  a = (b + ((a << 7) | (a >>> 25))) | 0;
  d = (d + (((b ^ c) & a) ^ c) + w9 - 0x74bb0851) | 0;
  d = (a + ((d << 12) | (d >>> 20))) | 0;
  c = (c + (((a ^ b) & d) ^ b) + w10 - 0xa44f) | 0;
  c = (d + ((c << 17) | (c >>> 15))) | 0;
  b = (b + (((d ^ a) & c) ^ a) + w11 - 0x76a32842) | 0;
  b = (c + ((b << 22) | (b >>> 10))) | 0;
  a = (a + (((c ^ d) & b) ^ d) + w12 + 0x6b901122) | 0;
  a = (b + ((a << 7) | (a >>> 25))) | 0;
  d = (d + (((b ^ c) & a) ^ c) + w13 - 0x2678e6d) | 0;
  d = (a + ((d << 12) | (d >>> 20))) | 0;
  c = (c + (((a ^ b) & d) ^ b) + w14 - 0x5986bc72) | 0;
  c = (d + ((c << 17) | (c >>> 15))) | 0;
  b = (b + (((d ^ a) & c) ^ a) + w15 + 0x49b40821) | 0;
  b = (c + ((b << 22) | (b >>> 10))) | 0;
  a = (a + (((b ^ c) & d) ^ c) + w1 - 0x9e1da9e) | 0;
  a = (b + ((a << 5) | (a >>> 27))) | 0;
  d = (d + (((a ^ b) & c) ^ b) + w6 - 0x3fbf4cc0) | 0;
  d = (a + ((d << 9) | (d >>> 23))) | 0;
  c = (c + (((d ^ a) & b) ^ a) + w11 + 0x265e5a51) | 0;
  c = (d + ((c << 14) | (c >>> 18))) | 0;
  b = (b + (((c ^ d) & a) ^ d) + w0 - 0x16493856) | 0;
  b = (c + ((b << 20) | (b >>> 12))) | 0;
  a = (a + (((b ^ c) & d) ^ c) + w5 - 0x29d0efa3) | 0;
  a = (b + ((a << 5) | (a >>> 27))) | 0;
  d = (d + (((a ^ b) & c) ^ b) + w10 + 0x2441453) | 0;
  d = (a + ((d << 9) | (d >>> 23))) | 0;
  c = (c + (((d ^ a) & b) ^ a) + w15 - 0x275e197f) | 0;
  c = (d + ((c << 14) | (c >>> 18))) | 0;
  b = (b + (((c ^ d) & a) ^ d) + w4 - 0x182c0438) | 0;
  b = (c + ((b << 20) | (b >>> 12))) | 0;
  a = (a + (((b ^ c) & d) ^ c) + w9 + 0x21e1cde6) | 0;
  a = (b + ((a << 5) | (a >>> 27))) | 0;
  d = (d + (((a ^ b) & c) ^ b) + w14 - 0x3cc8f82a) | 0;
  d = (a + ((d << 9) | (d >>> 23))) | 0;
  c = (c + (((d ^ a) & b) ^ a) + w3 - 0xb2af279) | 0;
  c = (d + ((c << 14) | (c >>> 18))) | 0;
  b = (b + (((c ^ d) & a) ^ d) + w8 + 0x455a14ed) | 0;
  b = (c + ((b << 20) | (b >>> 12))) | 0;
  a = (a + (((b ^ c) & d) ^ c) + w13 - 0x561c16fb) | 0;
  a = (b + ((a << 5) | (a >>> 27))) | 0;
  d = (d + (((a ^ b) & c) ^ b) + w2 - 0x3105c08) | 0;
  d = (a + ((d << 9) | (d >>> 23))) | 0;
  c = (c + (((d ^ a) & b) ^ a) + w7 + 0x676f02d9) | 0;
  c = (d + ((c << 14) | (c >>> 18))) | 0;
  b = (b + (((c ^ d) & a) ^ d) + w12 - 0x72d5b376) | 0;
  b = (c + ((b << 20) | (b >>> 12))) | 0;
  a = (a + (b ^ c ^ d) + w5 - 0x5c6be) | 0;
  a = (b + ((a << 4) | (a >>> 28))) | 0;
  d = (d + (a ^ b ^ c) + w8 - 0x788e097f) | 0;
  d = (a + ((d << 11) | (d >>> 21))) | 0;
  c = (c + (d ^ a ^ b) + w11 + 0x6d9d6122) | 0;
  c = (d + ((c << 16) | (c >>> 16))) | 0;
  b = (b + (c ^ d ^ a) + w14 - 0x21ac7f4) | 0;
  b = (c + ((b << 23) | (b >>> 9))) | 0;
  a = (a + (b ^ c ^ d) + w1 - 0x5b4115bc) | 0;
  a = (b + ((a << 4) | (a >>> 28))) | 0;
  d = (d + (a ^ b ^ c) + w4 + 0x4bdecfa9) | 0;
  d = (a + ((d << 11) | (d >>> 21))) | 0;
  c = (c + (d ^ a ^ b) + w7 - 0x944b4a0) | 0;
  c = (d + ((c << 16) | (c >>> 16))) | 0;
  b = (b + (c ^ d ^ a) + w10 - 0x41404390) | 0;
  b = (c + ((b << 23) | (b >>> 9))) | 0;
  a = (a + (b ^ c ^ d) + w13 + 0x289b7ec6) | 0;
  a = (b + ((a << 4) | (a >>> 28))) | 0;
  d = (d + (a ^ b ^ c) + w0 - 0x155ed806) | 0;
  d = (a + ((d << 11) | (d >>> 21))) | 0;
  c = (c + (d ^ a ^ b) + w3 - 0x2b10cf7b) | 0;
  c = (d + ((c << 16) | (c >>> 16))) | 0;
  b = (b + (c ^ d ^ a) + w6 + 0x4881d05) | 0;
  b = (c + ((b << 23) | (b >>> 9))) | 0;
  a = (a + (b ^ c ^ d) + w9 - 0x262b2fc7) | 0;
  a = (b + ((a << 4) | (a >>> 28))) | 0;
  d = (d + (a ^ b ^ c) + w12 - 0x1924661b) | 0;
  d = (a + ((d << 11) | (d >>> 21))) | 0;
  c = (c + (d ^ a ^ b) + w15 + 0x1fa27cf8) | 0;
  c = (d + ((c << 16) | (c >>> 16))) | 0;
  b = (b + (c ^ d ^ a) + w2 - 0x3b53a99b) | 0;
  b = (c + ((b << 23) | (b >>> 9))) | 0;
  a = (a + (c ^ (b | ~d)) + w0 - 0xbd6ddbc) | 0;
  a = (b + ((a << 6) | (a >>> 26))) | 0;
  d = (d + (b ^ (a | ~c)) + w7 + 0x432aff97) | 0;
  d = (a + ((d << 10) | (d >>> 22))) | 0;
  c = (c + (a ^ (d | ~b)) + w14 - 0x546bdc59) | 0;
  c = (d + ((c << 15) | (c >>> 17))) | 0;
  b = (b + (d ^ (c | ~a)) + w5 - 0x36c5fc7) | 0;
  b = (c + ((b << 21) | (b >>> 11))) | 0;
  a = (a + (c ^ (b | ~d)) + w12 + 0x655b59c3) | 0;
  a = (b + ((a << 6) | (a >>> 26))) | 0;
  d = (d + (b ^ (a | ~c)) + w3 - 0x70f3336e) | 0;
  d = (a + ((d << 10) | (d >>> 22))) | 0;
  c = (c + (a ^ (d | ~b)) + w10 - 0x100b83) | 0;
  c = (d + ((c << 15) | (c >>> 17))) | 0;
  b = (b + (d ^ (c | ~a)) + w1 - 0x7a7ba22f) | 0;
  b = (c + ((b << 21) | (b >>> 11))) | 0;
  a = (a + (c ^ (b | ~d)) + w8 + 0x6fa87e4f) | 0;
  a = (b + ((a << 6) | (a >>> 26))) | 0;
  d = (d + (b ^ (a | ~c)) + w15 - 0x1d31920) | 0;
  d = (a + ((d << 10) | (d >>> 22))) | 0;
  c = (c + (a ^ (d | ~b)) + w6 - 0x5cfebcec) | 0;
  c = (d + ((c << 15) | (c >>> 17))) | 0;
  b = (b + (d ^ (c | ~a)) + w13 + 0x4e0811a1) | 0;
  b = (c + ((b << 21) | (b >>> 11))) | 0;
  a = (a + (c ^ (b | ~d)) + w4 - 0x8ac817e) | 0;
  a = (b + ((a << 6) | (a >>> 26))) | 0;
  d = (d + (b ^ (a | ~c)) + w11 - 0x42c50dcb) | 0;
  d = (a + ((d << 10) | (d >>> 22))) | 0;
  c = (c + (a ^ (d | ~b)) + w2 + 0x2ad7d2bb) | 0;
  c = (d + ((c << 15) | (c >>> 17))) | 0;
  b = (b + (d ^ (c | ~a)) + w9 - 0x14792c6f) | 0;
  b = (c + ((b << 21) | (b >>> 11))) | 0;
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
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
