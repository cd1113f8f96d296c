import { MAP, TEXT } from "./cbor-reader.ts";

/** The maximum length of a value's head, in bytes. */
const MAX_HEAD = 5;

/** Encodes a request's members in CBOR: strings, and whole numbers from 0 to 2^32 − 1. */
export function encodeCborRequest(members: Readonly<Record<string, string | number>>): Uint8Array {
  const names = Object.keys(members);
  let maxBytes = MAX_HEAD;
  for (const name of names) {
    const value = members[name]!;
    maxBytes += 2 * MAX_HEAD + 3 * name.length + (typeof value === "string" ? 3 * value.length : 0);
  }
  const bytes = Buffer.allocUnsafe(maxBytes);
  let at = writeHead(bytes, 0, MAP, names.length);
  for (const name of names) {
    const value = members[name]!;
    at = writeText(bytes, at, name);
    at = typeof value === "string" ? writeText(bytes, at, value) : writeHead(bytes, at, 0, value);
  }
  return bytes.subarray(0, at);
}

function writeText(bytes: Buffer, at: number, text: string): number {
  const start = writeHead(bytes, at, TEXT, Buffer.byteLength(text));
  return start + bytes.write(text, start);
}

/** Returns where the next value begins. */
function writeHead(bytes: Buffer, at: number, type: number, number: number): number {
  if (number < 24) return bytes.writeUInt8((type << 5) | number, at);
  bytes.writeUInt8((type << 5) | 26, at);
  return bytes.writeUInt32BE(number, at + 1);
}
