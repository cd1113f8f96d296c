/** Opaque tokens: eight fixed bytes, as the service's iterators start with, then a JSON array. */
const PREFIX = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]);

export type TokenField = string | number | null;

export function formatToken(fields: readonly TokenField[]): string {
  return Buffer.concat([PREFIX, Buffer.from(JSON.stringify(fields))]).toString("base64");
}

/** The fields of a token of `length` fields; `undefined` for anything else. */
export function parseToken(text: string, length: number): TokenField[] | undefined {
  const bytes = Buffer.from(text, "base64");
  if (!bytes.subarray(0, 8).equals(PREFIX) || bytes.toString("base64") !== text) return undefined;
  try {
    const fields: unknown = JSON.parse(bytes.toString("utf8", 8));
    return Array.isArray(fields) && fields.length === length ? fields : undefined;
  } catch {
    return undefined;
  }
}
