import { DeadLetterError } from "../../errors.ts";
import type { DeadLetter, DeadLetterReason } from "./dead-letter.ts";

const REASONS: Readonly<Record<DeadLetterReason, true>> = {
  attempts: true,
  age: true,
  "non-retriable": true,
  undecodable: true,
};

/** The type of each member. A question mark means that it may be absent. */
const MEMBERS: Readonly<Record<Exclude<keyof DeadLetter, "error" | "reason">, MemberType>> = {
  id: "text",
  streamName: "text",
  streamARN: "text?",
  application: "text",
  shardId: "text",
  sequenceNumber: "text",
  subSequenceNumber: "number?",
  partitionKey: "text?",
  data: "bytes?",
  approximateArrivalTimestamp: "time",
  retainedUntil: "time?",
  attempts: "number",
  firstFailedAt: "time",
};

type MemberType = "text" | "text?" | "number" | "number?" | "bytes?" | "time" | "time?";

/** Has no groups: a repeated group overflows the stack on a text of several megabytes. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * A letter as JSON: the members of `DeadLetter`, data in base64 (absent in a pointer), times in ISO 8601.
 */
export function encodeDeadLetter(letter: DeadLetter): string {
  const { data } = letter;
  if (data === undefined) return JSON.stringify(letter);
  const { buffer, byteOffset, byteLength } = data;
  return JSON.stringify({
    ...letter,
    data: Buffer.from(buffer, byteOffset, byteLength).toString("base64"),
  });
}

/** Decodes what `encodeDeadLetter` has encoded. Unknown members are ignored. @throws DeadLetterError */
export function decodeDeadLetter(text: string): DeadLetter {
  let given: Readonly<Record<string, unknown>>;
  try {
    given = JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    // Not with the parser's error as cause: its message quotes the text.
    throw corrupt("it is not JSON");
  }
  if (typeof given !== "object" || given === null) throw corrupt("it is not an object");
  const letter: Record<string, unknown> = { data: undefined };
  for (const [name, type] of Object.entries(MEMBERS)) {
    const value = memberOf(given, name, type);
    if (value !== undefined) letter[name] = value;
  }
  const { reason } = given;
  if (typeof reason !== "string" || !Object.hasOwn(REASONS, reason)) throw corrupt("reason");
  return { ...letter, reason, error: failureOf(given["error"]) } as unknown as DeadLetter;
}

function failureOf(error: unknown): DeadLetter["error"] {
  if (typeof error !== "object" || error === null) throw corrupt("error");
  const { name, message, code } = error as Partial<DeadLetter["error"]>;
  if (typeof name !== "string" || typeof message !== "string") throw corrupt("error");
  if (code !== undefined && typeof code !== "string") throw corrupt("error.code");
  return code === undefined ? { name, message } : { name, message, code };
}

function memberOf(
  given: Readonly<Record<string, unknown>>,
  name: string,
  type: MemberType,
): unknown {
  const value = given[name];
  if (value === undefined && type.endsWith("?")) return undefined;
  switch (type) {
    case "number":
    case "number?":
      if (Number.isSafeInteger(value) && Number(value) >= 0) return value;
      break;
    case "time":
    case "time?": {
      const time = new Date(typeof value === "string" ? value : Number.NaN);
      if (!Number.isNaN(time.getTime())) return time;
      break;
    }
    case "bytes?":
      if (typeof value === "string" && value.length % 4 === 0 && BASE64.test(value)) {
        return new Uint8Array(Buffer.from(value, "base64"));
      }
      break;
    default:
      if (typeof value === "string") return value;
  }
  throw corrupt(name);
}

function corrupt(what: string): DeadLetterError {
  return new DeadLetterError(
    "DEAD_LETTERS_CORRUPT",
    `not a dead letter of this library, or damaged: ${what}`,
  );
}
