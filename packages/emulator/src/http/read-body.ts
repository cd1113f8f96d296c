import { breakConnection, type Request } from "./dual-server.ts";

/** 500 records of 10 MiB in all, in base64, and room for their keys. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** A longer one is read so far, so that its client gets the answer; then the connection is broken. */
const MOST_SWALLOWED_BYTES = 4 * MAX_BODY_BYTES;

/** The whole body; `undefined` if it is too long. One that goes on and on breaks its connection. */
export async function readBody(request: Request): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    else if (length > MOST_SWALLOWED_BYTES) breakConnection(request);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks, length) : undefined;
}
