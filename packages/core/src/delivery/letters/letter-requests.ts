import { encodeDeadLetter } from "./dead-letter-json.ts";
import { pointerTo, type DeadLetter } from "./dead-letter.ts";

/** A letter as the text of one message. */
export interface LetterText {
  readonly letter: DeadLetter;
  /** JSON. */
  readonly text: string;
  /** The length of the text in UTF-8. */
  readonly bytes: number;
}

/** Characters that XML, and so SQS, or some SQS emulators do not accept. They are escaped. */
const ESCAPED = /[\ud800-\udfff\ufffe\uffff]/g;

/**
 * Encodes a letter as JSON of at most `maxBytes`. If it is longer with its data, the text is a pointer to
 * the record. A pointer is never truncated, so `maxBytes` must allow for the longest one, 8 KiB.
 */
export function letterText(letter: DeadLetter, maxBytes: number): LetterText {
  // Data that cannot fit are not encoded at all.
  if (letter.data !== undefined && base64Length(letter.data.length) <= maxBytes) {
    const whole = textOf(letter);
    if (whole.bytes <= maxBytes) return whole;
  }
  return textOf(letter.data === undefined ? letter : pointerTo(letter));
}

/**
 * Groups items, in order, into requests of at most `most` items and `maxBytes`. A larger item forms a group
 * of its own.
 */
export function* requestsOf<Item extends { readonly bytes: number }>(
  items: Iterable<Item>,
  { most, maxBytes }: { readonly most: number; readonly maxBytes: number },
): Generator<readonly Item[]> {
  let group: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (group.length > 0 && (group.length === most || bytes + item.bytes > maxBytes)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(item);
    bytes += item.bytes;
  }
  if (group.length > 0) yield group;
}

function textOf(letter: DeadLetter): LetterText {
  const text = encodeDeadLetter(letter).replaceAll(
    ESCAPED,
    (unit) => `\\u${unit.charCodeAt(0).toString(16)}`,
  );
  return { letter, text, bytes: Buffer.byteLength(text) };
}

function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}
