/** A page has 10,000 records at most. Its child shards add a few objects and lists. */
const MOST_CONTAINERS = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LIST = 0x5b;
const OBJECT = 0x7b;

/**
 * Counts the objects and lists of a text in JSON before it is parsed: an empty object of three bytes
 * takes sixty bytes of memory, and a reply of 32 MiB may have ten million of them.
 * @throws RangeError for more than any reply has
 */
export function checkJsonShape({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  let containers = 0;
  for (let at = 0; at < byteLength; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(bytes, at);
    else if (byte === OBJECT || byte === LIST) {
      containers += 1;
      if (containers > MOST_CONTAINERS) throw new RangeError("it has more values than any reply");
    }
  }
}

/** The index of the quote that ends a text. The search is native: records' data are long. */
function endOfText(bytes: Buffer, start: number): number {
  for (let end = start; ;) {
    end = bytes.indexOf(QUOTE, end + 1);
    if (end < 0) return bytes.length;
    let before = end - 1;
    while (bytes[before] === BACKSLASH) before -= 1;
    if ((end - before) % 2 === 1) return end;
  }
}
