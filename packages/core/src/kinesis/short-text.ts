/** Up to this length, `String.fromCharCode` is faster than a call into Node. */
const MAX_BYTES = 12;
const char = String.fromCharCode;

/** Decodes UTF-8. Short ASCII strings, such as most keys, are decoded without a call into Node. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  if (end - start > MAX_BYTES) return bytes.toString("utf8", start, end);
  let all = 0;
  for (let i = start; i < end; i += 1) all |= bytes[i]!;
  return all < 0x80 ? shortAscii(bytes, start, end) : bytes.toString("utf8", start, end);
}

/** Creates up to eight characters per call: appending them one by one would copy the string each time. */
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
