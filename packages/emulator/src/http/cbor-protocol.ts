import { CborReader } from "./cbor-reader.ts";
import { CborWriter } from "./cbor-writer.ts";
import type { Protocol } from "./protocol.ts";

/** AWS CBOR 1.1, as used by the Java SDK: blobs are not encoded. */
export const cborProtocol: Protocol = {
  contentType: "application/x-amz-cbor-1.1",
  values: {
    // A copy: the reader's blobs are views of the whole body.
    blob: (value) => (value instanceof Uint8Array ? new Uint8Array(value) : undefined),
    // In milliseconds, with or without the tag.
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
