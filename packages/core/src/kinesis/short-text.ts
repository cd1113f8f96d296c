/** Up to here, V8 makes a text of ASCII characters more quickly than Node decodes it. */
const MOST_BYTES = 12;
const char = String.fromCharCode;

/** UTF-8 as text. Short ones, such as most keys, cost no call into Node. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  if (end - start > MOST_BYTES) return bytes.toString("utf8", start, end);
  let all = 0;
  for (let i = start; i < end; i += 1) all |= bytes[i]!;
  return all < 0x80 ? shortAscii(bytes, start, end) : bytes.toString("utf8", start, end);
}

/** A call makes one text of up to eight characters: added one by one, each would copy what was there. */
function shortAscii(bytes: Uint8Array, start: number, end: number): string {
  let at = start;
  let text = "";
  if (end - at >= 8) {
    text = char(
      bytes[at]!,
      bytes[at + 1]!,
      bytes[at + 2]!,
      bytes[at + 3]!,
      bytes[at + 4]!,
      bytes[at + 5]!,
      bytes[at + 6]!,
      bytes[at + 7]!,
    );
    at += 8;
  }
  switch (end - at) {
    case 1:
      return text + char(bytes[at]!);
    case 2:
      return text + char(bytes[at]!, bytes[at + 1]!);
    case 3:
      return text + char(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!);
    case 4:
      return text + char(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);
    case 5:
      return (
        text + char(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!, bytes[at + 4]!)
      );
    case 6:
      return (
        text +
        char(
          bytes[at]!,
          bytes[at + 1]!,
          bytes[at + 2]!,
          bytes[at + 3]!,
          bytes[at + 4]!,
          bytes[at + 5]!,
        )
      );
    case 7:
      return (
        text +
        char(
          bytes[at]!,
          bytes[at + 1]!,
          bytes[at + 2]!,
          bytes[at + 3]!,
          bytes[at + 4]!,
          bytes[at + 5]!,
          bytes[at + 6]!,
        )
      );
    default:
      return text;
  }
}
