import type { Readable } from "node:stream";

/** What is taken at its word of a reply's announced length: no reply of GetRecords is longer. */
const LONGEST_ANNOUNCED = 16 * 1024 * 1024;

/**
 * A reply's whole body, in memory of its own: records that are views on it share it with nothing
 * else. Rejects with what breaks the stream off.
 */
export async function readBody(body: unknown, contentLength: number): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  const collected = new Collected(Math.min(contentLength, LONGEST_ANNOUNCED));
  if (isReadable(body)) {
    await new Promise<void>((resolve, reject) => {
      body.on("data", (chunk: Uint8Array) => collected.add(chunk));
      body.once("end", resolve);
      body.once("error", reject);
      body.once("close", () => reject(brokenOff()));
    });
  } else {
    for await (const chunk of body as AsyncIterable<Uint8Array>) collected.add(chunk);
  }
  return collected.bytes();
}

/** Chunks in one piece of memory, which is large enough from the start if the length was told. */
class Collected {
  #bytes: Uint8Array;
  #length = 0;

  constructor(expected: number) {
    this.#bytes = memory(expected);
  }

  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.byteLength;
    if (length > this.#bytes.byteLength) {
      const larger = memory(Math.max(2 * this.#bytes.byteLength, length));
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
