/** The first bytes of an opaque token, as in the service's iterators. A JSON array follows. */
const PREFIX = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]);

/** Maximum length of stream names and shard ids. */
const MAX_TEXT = 128;

export type TokenField = string | number | null;

/** The types of a field, by kind. A `count` is an integer of at least 0. */
interface Fields {
  readonly text: string;
  readonly count: number;
  readonly "text or null": string | null;
  readonly "number or null": number | null;
}
export type FieldKind = keyof Fields;
type FieldsOf<Kinds extends readonly FieldKind[]> = {
  readonly [Index in keyof Kinds]: Fields[Kinds[Index]];
};

export function formatToken(fields: readonly TokenField[]): string {
  return Buffer.concat([PREFIX, Buffer.from(JSON.stringify(fields))]).toString("base64");
}

/** Parses a token with these kinds of fields; undefined = it is none. */
export function parseToken<const Kinds extends readonly FieldKind[]>(
  text: string,
  kinds: Kinds,
): FieldsOf<Kinds> | undefined {
  const bytes = Buffer.from(text, "base64");
  if (!bytes.subarray(0, 8).equals(PREFIX) || bytes.toString("base64") !== text) return undefined;
  try {
    const fields: unknown = JSON.parse(bytes.toString("utf8", 8));
    const isOne =
      Array.isArray(fields) &&
      fields.length === kinds.length &&
      kinds.every((kind, index) => isOf(kind, fields[index]));
    return isOne ? (fields as unknown as FieldsOf<Kinds>) : undefined;
  } catch {
    return undefined;
  }
}

function isOf(kind: FieldKind, field: unknown): boolean {
  switch (kind) {
    case "text":
      return typeof field === "string" && field.length <= MAX_TEXT;
    case "count":
      return Number.isSafeInteger(field) && Number(field) >= 0;
    case "text or null":
      return field === null || isOf("text", field);
    case "number or null":
      return field === null || Number.isFinite(field);
  }
}
