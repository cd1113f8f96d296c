import { createHash } from "node:crypto";

/** Characters with a meaning in a datagram. A name or a tag must not contain them. */
const RESERVED = /[:|#,@\s]/g;
/** A dot separates the levels of Graphite's hierarchy, so a value must not contain one. */
const RESERVED_IN_NAME = /[:|#,@\s.]/g;
const HASH_LENGTH = 8;

export function tagValue(text: string): string {
  return without(RESERVED, text);
}

export function namePart(text: string): string {
  return without(RESERVED_IN_NAME, text);
}

/** A value that must be altered gets a hash of the original as a suffix, so that different values stay different. */
function without(reserved: RegExp, text: string): string {
  const clean = text.replaceAll(reserved, "_");
  if (clean === text) return text;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_LENGTH);
  return `${clean}-${hash}`;
}
