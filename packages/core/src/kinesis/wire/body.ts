import type { Readable } from "node:stream";
import { ReplyBuffer } from "../reply-buffer.ts";
import { connectionClosed } from "../transport/sdk-errors.ts";

/**
 * Reads the complete body of a reply into a buffer that nothing else shares. Rejects with the error of the
 * stream, and with an UnexpectedReplyError if the body is longer than any reply.
 * @param onBytes as for `ReplyBuffer`
 */
export async function readBody(
  body: unknown,
  contentLength: number,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  try {
    const buffer = new ReplyBuffer(contentLength, onBytes);
    await collect(body, buffer);
    return buffer.bytes();
  } catch (error) {
    // The unread rest of the body would keep the connection busy.
    if (isReadable(body)) body.destroy();
    throw error;
  }
}

async function collect(body: unknown, buffer: ReplyBuffer): Promise<void> {
  if (!isReadable(body)) {
    for await (const chunk of body as AsyncIterable<Uint8Array>) buffer.add(chunk);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    body.on("data", (chunk: Uint8Array) => {
      try {
        buffer.add(chunk);
      } catch (error) {
        reject(error);
      }
    });
    body.once("end", resolve);
    body.once("error", reject);
    body.once("close", () => reject(connectionClosed()));
  });
}

function isReadable(body: unknown): body is Readable {
  return typeof (body as Partial<Readable>).on === "function";
}
