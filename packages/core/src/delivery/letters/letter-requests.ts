import { encodeDeadLetter } from "./dead-letter-json.ts";
import { pointerTo, type DeadLetter } from "./dead-letter.ts";

/** A letter as one text of a queue that takes texts. */
export interface LetterText {
  readonly letter: DeadLetter;
  /** JSON. */
  readonly text: string;
  /** Of the text, in UTF-8. */
  readonly bytes: number;
}

/** What XML, and so SQS, does not take, and what some of its emulators do not: they stand escaped. */
const ESCAPED = /[\ud800-\udfff\ufffe\uffff]/g;

/**
 * A letter as JSON of at most `maxBytes`; with its data it may be longer, and then the text is a pointer
 * to the record. A pointer is never cut, so `maxBytes` has to leave room for the longest one, 8 KiB.
 */
export function letterText(letter: DeadLetter, maxBytes: number): LetterText {
  // What cannot fit need not be encoded first.
  if (letter.data !== undefined && base64Length(letter.data.length) <= maxBytes) {
    const whole = textOf(letter);
    if (whole.bytes <= maxBytes) return whole;
  }
  return textOf(letter.data === undefined ? letter : pointerTo(letter));
}

/**
 * Items in their order, in groups for one request each: of at most `most` items and `maxBytes`. One that
 * is larger is a group of its own.
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
