import { Decoder, Encoder, Tag } from "cbor-x";

/** Seconds or milliseconds beyond this are no `Date`. */
const LAST_MS = 8.64e15;

/** One encoding of requests, written apart from the emulator's, and what its values stand for. */
export interface TestWire {
  readonly contentType: string;
  encode(input: unknown): Buffer;
  /** Of a reply. */
  decode(body: string | Uint8Array): unknown;
  isStructure(value: unknown): value is Record<string, unknown>;
  /** `undefined` = the value stands for no bytes. */
  blobOf(value: unknown): Uint8Array | undefined;
  /** Milliseconds since the epoch; `undefined` = the value stands for no time. */
  timeOf(value: unknown): number | undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const timeOf = (ms: unknown): number | undefined =>
  typeof ms === "number" && Math.abs(ms) <= LAST_MS ? Math.round(ms) + 0 : undefined;

const jsonWire: TestWire = {
  contentType: "application/x-amz-json-1.1",
  encode: (input) => Buffer.from(toJson(input)),
  decode: (body) => JSON.parse(String(body)) as unknown,
  isStructure: isObject,
  blobOf: (value) =>
    typeof value === "string" && /^([A-Za-z0-9+/]{4})*([\w+/]{2}==|[\w+/]{3}=)?$/.test(value)
      ? Buffer.from(value, "base64")
      : undefined,
  timeOf: (value) => (typeof value === "number" ? timeOf(value * 1000) : undefined),
};

// Times are integers of 64 bits; the package's types do not know the last option.
const reading = { useRecords: false, mapsAsObjects: true, int64AsNumber: true };
const decoder = new Decoder(reading);
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });

const cborWire: TestWire = {
  contentType: "application/x-amz-cbor-1.1",
  encode: (input) => encoder.encode(toCbor(input)),
  decode: (body) => decoder.decode(body as Uint8Array) as unknown,
  // Maps come as plain objects; bytes, times and unknown tags are objects of a class.
  isStructure: (value): value is Record<string, unknown> =>
    isObject(value) && Object.getPrototypeOf(value) === Object.prototype,
  blobOf: (value) => (value instanceof Uint8Array ? value : undefined),
  timeOf: (value) => timeOf(value instanceof Date ? value.getTime() : value),
};

export const WIRES: Readonly<Record<"json" | "cbor", TestWire>> = {
  json: jsonWire,
  cbor: cborWire,
};

function toJson(value: unknown): string {
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  if (value instanceof Date) return String(value.getTime() / 1000);
  // No JSON number is infinite, but readers take this one so.
  if (value === Infinity) return "1e999";
  if (Array.isArray(value)) return `[${value.map(toJson).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, one]) => `${JSON.stringify(name)}:${toJson(one)}`,
  );
  return `{${members.join()}}`;
}

function toCbor(value: unknown): unknown {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Date) return new Tag(value.getTime(), 1);
  if (Array.isArray(value)) return value.map(toCbor);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toCbor(one)]));
}
