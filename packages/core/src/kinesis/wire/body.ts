import type { Readable } from "node:stream";
import { brokenOff, ReplyMemory } from "../reply-memory.ts";

/**
 * A reply's whole body, in memory of its own. Rejects with what breaks the stream off, and with an
 * UnexpectedReplyError if it is longer than any reply.
 * @param onBytes called before memory is allocated for so many bytes; what it throws breaks the body off
 */
export async function readBody(
  body: unknown,
  contentLength: number,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  try {
    const memory = new ReplyMemory(contentLength, onBytes);
    await collect(body, memory);
    return memory.bytes();
  } catch (error) {
    // What is left of it must not keep the connection.
    if (isReadable(body)) body.destroy();
    throw error;
  }
}

async function collect(body: unknown, memory: ReplyMemory): Promise<void> {
  if (!isReadable(body)) {
    for await (const chunk of body as AsyncIterable<Uint8Array>) memory.add(chunk);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    body.on("data", (chunk: Uint8Array) => {
      try {
        memory.add(chunk);
      } catch (error) {
        reject(error);
      }
    });
    body.once("end", resolve);
    body.once("error", reject);
    body.once("close", () => reject(brokenOff()));
  });
}

function isReadable(body: unknown): body is Readable {
  return typeof (body as Partial<Readable>).on === "function";
}
