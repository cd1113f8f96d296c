import { CborReader } from "./cbor-reader.ts";
import { CborWriter } from "./cbor-writer.ts";
import type { Protocol } from "./protocol.ts";

/** AWS CBOR 1.1, which the service's Java client speaks: blobs as they are. */
export const cborProtocol: Protocol = {
  contentType: "application/x-amz-cbor-1.1",
  values: {
    // The reader's are views of the whole body.
    blob: (value) => (value instanceof Uint8Array ? new Uint8Array(value) : undefined),
    // With or without its tag it is in milliseconds.
    timestamp(value) {
      const milliseconds = value instanceof Date ? value.getTime() : value;
      return typeof milliseconds === "number" && Number.isFinite(milliseconds)
        ? new Date(Math.round(milliseconds))
        : undefined;
    },
  },
  decode: (body) => new CborReader(body).read(),
  encode(output) {
    const writer = new CborWriter();
    writer.write(output);
    return writer.bytes;
  },
};
