import { Decoder, Encoder, Tag } from "cbor-x";
import { checkCborShape } from "./cbor-shape.ts";
import type { Protocol } from "./protocol.ts";

const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });

/** What CBOR's tag 1 stands for: a moment since the epoch. AWS counts it in milliseconds. */
const EPOCH_TAG = 1;

/** AWS CBOR 1.1, which the service's Java client speaks: blobs as they are. */
export const cborProtocol: Protocol = {
  contentType: "application/x-amz-cbor-1.1",
  values: {
    blob: (value) => (value instanceof Uint8Array ? value : undefined),
    // The decoder takes tag 1 for seconds; the service's clients write milliseconds.
    timestamp(value) {
      const written = value instanceof Date ? value.getTime() / 1000 : value;
      return typeof written === "number" && Number.isFinite(written)
        ? new Date(Math.round(written))
        : undefined;
    },
  },
  decode(body) {
    checkCborShape(body);
    return decoder.decode(body) as unknown;
  },
  encode: (output) => encoder.encode(toCbor(output)),
};

/** Dates as milliseconds under tag 1; members that are not there are left out. */
function toCbor(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (value instanceof Date) return new Tag(value.getTime(), EPOCH_TAG);
  if (Array.isArray(value)) return value.map(toCbor);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, toCbor(member)]));
}
