import type { ValueReader } from "../api/read-input.ts";

/** The encoding of requests and replies, identified by its content type. */
export interface Protocol {
  readonly contentType: string;
  /** Reads blobs and timestamps from what `decode` returns. */
  readonly values: ValueReader;
  /** Decodes the body of a request. Throws anything if it is invalid. */
  decode(body: Buffer): unknown;
  /** Encodes the body of a reply. `Uint8Array` is a blob, `Date` a timestamp. */
  encode(output: object): string | Uint8Array;
}
