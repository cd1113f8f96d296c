import { MAP, TEXT } from "./cbor-reader.ts";

/** A request's members in CBOR: texts, and whole numbers from 0 to 2^32 − 1. */
export function encodeCborRequest(members: Readonly<Record<string, string | number>>): Uint8Array {
  const entries = Object.entries(members);
  return Buffer.concat([
    head(MAP, entries.length),
    ...entries.flatMap(([name, value]) => [
      ...text(name),
      ...(typeof value === "string" ? text(value) : [head(0, value)]),
    ]),
  ]);
}

function text(value: string): readonly Uint8Array[] {
  const bytes = Buffer.from(value);
  return [head(TEXT, bytes.length), bytes];
}

function head(type: number, number: number): Uint8Array {
  if (number < 24) return Uint8Array.of((type << 5) | number);
  const bytes = Buffer.alloc(5, (type << 5) | 26);
  bytes.writeUInt32BE(number, 1);
  return bytes;
}
