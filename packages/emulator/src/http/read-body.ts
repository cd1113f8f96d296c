import { breakConnection, type Request } from "./dual-server.ts";

/** 500 records of 10 MiB in all, in base64, with their keys. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** A body that is too long is read up to here, so that its client gets the reply; then the connection is broken. */
const MAX_READ_BYTES = 4 * MAX_BODY_BYTES;

/** Reads the whole body; undefined = it is too long. Breaks the connection after `MAX_READ_BYTES`. */
export async function readBody(request: Request): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    else if (length > MAX_READ_BYTES) breakConnection(request);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks, length) : undefined;
}
