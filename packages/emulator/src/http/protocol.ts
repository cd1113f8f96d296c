import type { ValueReader } from "../api/read-input.ts";

/** How requests and replies are written on the wire. One content type has one protocol. */
export interface Protocol {
  readonly contentType: string;
  /** Blobs and timestamps as `decode` leaves them. */
  readonly values: ValueReader;
  /** A request's body as a plain value; throws whatever it likes for bytes that are not one. */
  decode(body: Buffer): unknown;
  /** A reply's body. `Uint8Array` and `Date` stand for blobs and timestamps. */
  encode(output: object): string | Uint8Array;
}
