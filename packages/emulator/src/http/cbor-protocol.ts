import { Decoder } from "cbor-x";
import { checkCborShape } from "./cbor-shape.ts";
import { CborWriter } from "./cbor-writer.ts";
import type { Protocol } from "./protocol.ts";

// Java clients write the milliseconds of a timestamp as an integer of 64 bits.
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true, int64AsNumber: true });

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
  encode(output) {
    const writer = new CborWriter();
    writer.write(output);
    return writer.bytes;
  },
};
