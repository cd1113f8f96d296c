/** A power of two. */
const SLOTS = 256;
/** Longer keys are not kept, in bytes. */
const MOST_BYTES = 64;

/** A partition key of user records. */
export interface KnownKey {
  readonly text: string;
  readonly hash: number;
  /** Does it belong to the shard? Undefined = nobody has asked yet. */
  isHere: boolean | undefined;
}

/**
 * The partition keys that one shard's aggregates had lately, as text, with what was found out about them:
 * producers repeat their keys from one aggregate to the next. A key takes the slot of its hash from
 * whichever had it before, so that keys without an end take up no more memory.
 */
export class KnownKeys {
  readonly #slots: (KnownKey | undefined)[] = Array.from<undefined>({ length: SLOTS });

  /** @param bytes has the key in UTF-8 from `start` to `end` */
  of(bytes: Buffer, start: number, end: number): KnownKey {
    if (end - start > MOST_BYTES)
      return { text: textOf(bytes, start, end), hash: 0, isHere: undefined };
    let hash = 0x811c9dc5 | 0;
    for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const known = this.#slots[slot];
    if (known !== undefined && known.hash === hash && isText(known.text, bytes, start, end)) {
      return known;
    }
    const key = { text: textOf(bytes, start, end), hash, isHere: undefined };
    this.#slots[slot] = key;
    return key;
  }
}

function textOf(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("utf8", start, end);
}

/** Are these bytes this text in ASCII? Others have no text that is theirs alone: malformed ones share U+FFFD. */
function isText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = text;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i += 1) {
    const byte = bytes[start + i]!;
    if (byte >= 0x80 || text.charCodeAt(i) !== byte) return false;
  }
  return true;
}
