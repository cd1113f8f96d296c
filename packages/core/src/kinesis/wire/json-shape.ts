/** A page has at most 10,000 records. Its child shards add a few objects and lists. */
const MAX_CONTAINERS = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LIST = 0x5b;
const OBJECT = 0x7b;

/**
 * Counts the objects and lists in JSON before it is parsed: an empty object of three bytes takes sixty bytes of
 * memory, and a reply of 32 MiB could contain ten million of them.
 * @throws RangeError if there are more than in any reply
 */
export function checkJsonShape({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  let containers = 0;
  for (let at = 0; at < byteLength; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === OBJECT || byte === LIST) {
      containers += 1;
      if (containers > MAX_CONTAINERS) throw new RangeError("it has more values than any reply");
    }
  }
}

/** Returns the index of the quote that ends a string. The search is native, because records' data are long. */
function endOfString(bytes: Buffer, start: number): number {
  for (let end = start; ;) {
    end = bytes.indexOf(QUOTE, end + 1);
    if (end < 0) return bytes.length;
    let before = end - 1;
    while (bytes[before] === BACKSLASH) before -= 1;
    if ((end - before) % 2 === 1) return end;
  }
}
