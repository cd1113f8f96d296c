import { serviceError } from "../errors.ts";
import { inputShapes } from "./input-shapes.ts";
import type { Input, OperationName } from "./operation-types.ts";
import { MAX_INTEGER, type Bounds, type Members, type Shape } from "./shapes.ts";

/** Reads the types that JSON lacks, as a protocol encodes them. Undefined = the value is not of that type. */
export interface ValueReader {
  /** Returns a copy, because a record is kept for longer than its request. */
  blob(value: unknown): Uint8Array | undefined;
  /** An invalid `Date` counts as none. */
  timestamp(value: unknown): Date | undefined;
}

const regularExpressions = new Map<string, RegExp>();
/** Maximum length of a quoted value in a message. */
const MAX_QUOTED = 1024;

/** Reads values of the SDK's commands. */
export const sdkValues: ValueReader = {
  // A copy: the caller may write into its buffer again.
  blob: (value) => (value instanceof Uint8Array ? new Uint8Array(value) : undefined),
  timestamp: (value) => (value instanceof Date ? value : undefined),
};

/**
 * Validates an operation's input.
 * @throws SerializationException for a value of a wrong type, ValidationException for one out of bounds or missing
 */
export function readInput<Name extends OperationName>(
  operation: Name,
  value: unknown,
  values: ValueReader,
): Input<Name> {
  const problems: string[] = [];
  const input = readMembers(inputShapes[operation], value, "", values, problems);
  if (problems.length > 0) {
    const plural = problems.length === 1 ? "" : "s";
    const message = `${problems.length} validation error${plural} detected: ${problems.join("; ")}`;
    throw serviceError("ValidationException", message);
  }
  return input;
}

function readMembers(
  members: Members,
  value: unknown,
  path: string,
  values: ValueReader,
  problems: string[],
): Record<string, unknown> {
  if (!isStructure(value)) throw wrongType(path, "a structure");
  const result: Record<string, unknown> = {};
  for (const name in members) {
    const shape = members[name]!;
    const member = value[name];
    const at = `${path}${name[0]!.toLowerCase()}${name.slice(1)}`;
    if (member === undefined || member === null) {
      if (shape.required) refuse(problems, at, "null", "Member must not be null");
    } else {
      result[name] = readValue(shape, member, at, values, problems);
    }
  }
  return result;
}

function readValue(
  shape: Shape,
  value: unknown,
  at: string,
  values: ValueReader,
  problems: string[],
): unknown {
  switch (shape.type) {
    case "string":
      if (typeof value !== "string") throw wrongType(at, "a string");
      if (shape.length) checkBounds(value.length, shape.length, "length", at, value, problems);
      // Matching the ARN pattern takes quadratic time, so a string that is too long is not matched.
      if (shape.pattern && !(shape.length && value.length > shape.length[1])) {
        if (!regularExpression(shape.pattern).test(value)) {
          const constraint = `Member must satisfy regular expression pattern: ${shape.pattern}`;
          refuse(problems, at, value, constraint);
        }
      }
      return value;
    case "enum":
      if (typeof value !== "string") throw wrongType(at, "a string");
      if (!shape.values.includes(value)) {
        const set = `[${shape.values.join(", ")}]`;
        refuse(problems, at, value, `Member must satisfy enum value set: ${set}`);
      }
      return value;
    case "integer":
      if (typeof value !== "number" || !(Math.abs(value) <= MAX_INTEGER + 1)) {
        throw wrongType(at, "an integer of 32 bits");
      }
      checkBounds(Math.floor(value), shape.range, "value", at, String(value), problems);
      return Math.floor(value);
    case "boolean":
      if (typeof value !== "boolean") throw wrongType(at, "a boolean");
      return value;
    case "blob": {
      const bytes = values.blob(value) ?? raise(wrongType(at, "a blob"));
      checkBounds(bytes.length, shape.length, "length", at, "[bytes]", problems);
      return bytes;
    }
    case "timestamp":
      return readTimestamp(values.timestamp(value), at);
    case "list":
      if (!Array.isArray(value)) throw wrongType(at, "a list");
      checkBounds(value.length, shape.length, "length", at, "[...]", problems);
      return value.map((member: unknown, index) =>
        readValue(shape.member, member, `${at}.${index + 1}.member`, values, problems),
      );
    case "map":
      return readMap(shape, value, at, values, problems);
    case "structure":
      return readMembers(shape.members, value, `${at}.`, values, problems);
  }
}

function readMap(
  shape: Extract<Shape, { type: "map" }>,
  value: unknown,
  at: string,
  values: ValueReader,
  problems: string[],
): Readonly<Record<string, unknown>> {
  if (!isStructure(value)) throw wrongType(at, "a map");
  const entries = Object.entries(value);
  checkBounds(entries.length, shape.length, "length", at, "{...}", problems);
  return Object.fromEntries(
    entries.map(([key, member]) => {
      readValue(shape.key, key, `${at}.key`, values, problems);
      return [key, readValue(shape.value, member, `${at}.${cut(key)}.value`, values, problems)];
    }),
  );
}

/** In CBOR, bytes and dates are objects too. */
function isStructure(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const isOther = Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof Date;
  return !isOther;
}

/** A finite number may still be out of the range of `Date`. */
function readTimestamp(time: Date | undefined, at: string): Date {
  if (time === undefined || Number.isNaN(time.getTime())) throw wrongType(at, "a timestamp");
  return time;
}

function checkBounds(
  size: number,
  [least, most]: Bounds,
  what: "length" | "value",
  at: string,
  value: string,
  problems: string[],
): void {
  if (size >= least && size <= most) return;
  const bound =
    size < least ? `greater than or equal to ${least}` : `less than or equal to ${most}`;
  refuse(problems, at, value, `Member must have ${what} ${bound}`);
}

function refuse(problems: string[], at: string, value: string, constraint: string): void {
  const shown = value === "null" ? value : `'${cut(value)}'`;
  problems.push(`Value ${shown} at '${at}' failed to satisfy constraint: ${constraint}`);
}

function cut(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}...` : text;
}

/** Compiles a pattern that must match the whole text. */
function regularExpression(pattern: string): RegExp {
  let compiled = regularExpressions.get(pattern);
  if (compiled === undefined) {
    compiled = new RegExp(`^(?:${pattern})$`);
    regularExpressions.set(pattern, compiled);
  }
  return compiled;
}

function wrongType(at: string, expected: string): Error {
  return serviceError("SerializationException", `Expected ${expected} at '${at || "the request"}'`);
}

function raise(error: Error): never {
  throw error;
}
