import { createHash } from "node:crypto";

/** Characters with a meaning in a datagram: a name or a tag may not have them. */
const RESERVED = /[:|#,@\s]/g;
/** A dot separates what Graphite shows as folders: within a value it would make more of them. */
const RESERVED_IN_NAME = /[:|#,@\s.]/g;
const HASH_LENGTH = 8;

export function tagValue(text: string): string {
  return without(RESERVED, text);
}

export function namePart(text: string): string {
  return without(RESERVED_IN_NAME, text);
}

/** What has to be changed gets a hash of what it was: values that differ stay series that differ. */
function without(reserved: RegExp, text: string): string {
  const clean = text.replaceAll(reserved, "_");
  if (clean === text) return text;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_LENGTH);
  return `${clean}-${hash}`;
}
