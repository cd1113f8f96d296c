import type { Readable } from "node:stream";
import { UnexpectedReplyError } from "../reply-shapes.ts";

const MIB = 1024 * 1024;

/** What is taken at its word of a reply's announced length. */
const LONGEST_ANNOUNCED = 16 * MIB;
/** No reply of GetRecords is longer: 10 MiB of data in base64, and what JSON has beside them. */
const LONGEST_BODY = 32 * MIB;

/**
 * A reply's whole body, in memory of its own: records that are views on it share it with nothing
 * else. Rejects with what breaks the stream off, and with an UnexpectedReplyError if it is longer than
 * any reply.
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
    const expected = Math.min(contentLength, LONGEST_ANNOUNCED);
    onBytes(expected);
    const collected = new Collected(expected, onBytes);
    await collect(body, collected);
    return collected.bytes();
  } catch (error) {
    // What is left of it must not keep the connection.
    if (isReadable(body)) body.destroy();
    throw error;
  }
}

async function collect(body: unknown, collected: Collected): Promise<void> {
  if (!isReadable(body)) {
    for await (const chunk of body as AsyncIterable<Uint8Array>) collected.add(chunk);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    body.on("data", (chunk: Uint8Array) => {
      try {
        collected.add(chunk);
      } catch (error) {
        reject(error);
      }
    });
    body.once("end", resolve);
    body.once("error", reject);
    body.once("close", () => reject(brokenOff()));
  });
}

/** Chunks in one piece of memory, which is large enough from the start if the length was announced. */
class Collected {
  readonly #onBytes: (bytes: number) => void;
  #bytes: Uint8Array;
  #length = 0;

  constructor(expected: number, onBytes: (bytes: number) => void) {
    this.#onBytes = onBytes;
    this.#bytes = memory(expected);
  }

  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.byteLength;
    if (length > LONGEST_BODY) {
      throw new UnexpectedReplyError(
        `the reply goes on beyond ${LONGEST_BODY / MIB} MiB: is the endpoint that of Kinesis?`,
      );
    }
    const had = this.#bytes.byteLength;
    const fits = length <= had;
    const needed = fits ? had : Math.min(LONGEST_BODY, Math.max(2 * had, length));
    this.#onBytes(needed);
    if (!fits) {
      const larger = memory(needed);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** As plain bytes, for records' data are such, and not from Node's pool. */
function memory(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, byteOffset, length);
}

function isReadable(body: unknown): body is Readable {
  return typeof (body as Partial<Readable>).on === "function";
}

function brokenOff(): Error {
  return Object.assign(new Error("the connection closed before the reply had ended"), {
    code: "ECONNRESET",
  });
}
