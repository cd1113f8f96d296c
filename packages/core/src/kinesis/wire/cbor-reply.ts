import { DecodedRecords, type PageRecords } from "../page-records.ts";
import { ARRAY, CborError, CborReader, MAP } from "./cbor-reader.ts";
import { CborRecords } from "./cbor-records.ts";
import { isMember, membersOf, type RecordsReply } from "./records-reply.ts";

const NONE = new DecodedRecords([]);

/** Whether the bytes begin with a map, as every reply in CBOR does, and no reply in JSON can. */
export function looksLikeCbor(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes[0]! >> 5 === MAP;
}

/** Reads the one value that the bytes consist of. @throws CborError */
export function readCborValue(bytes: Uint8Array): unknown {
  const reader = new CborReader(bytes);
  const value = reader.readValue();
  if (!reader.atEnd) throw new CborError("it has trailing bytes");
  return value;
}

/**
 * Reads a page. Its records are located and checked now; each is decoded when it is delivered.
 * @throws Error for any other reply
 */
export function readCborReply(bytes: Uint8Array): RecordsReply {
  const reader = new CborReader(bytes);
  const members = new Map<string, unknown>();
  let records: PageRecords | undefined;
  const length = reader.readHead(MAP);
  for (let left = length; reader.hasMore(left, length); left -= 1) {
    const name = reader.readText();
    if (name === "Records" && reader.peekType() === ARRAY) {
      if (records !== undefined) throw new CborError("two lists of records");
      records = reader.readEmptyArray() ? NONE : new CborRecords(bytes, reader);
    } else if (name === "Records" || isMember(name)) members.set(name, reader.readValue());
    else reader.skipValue();
  }
  if (!reader.atEnd) throw new CborError("it has trailing bytes");
  // The list of records may be null, which means that there are none.
  if ((members.get("Records") ?? undefined) !== undefined) throw new Error("Records is not a list");
  return { records: records ?? NONE, members: membersOf(members) };
}
