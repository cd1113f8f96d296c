import { serviceError } from "../errors.ts";
import { inputShapes, type Members, type Shape } from "./input-shapes.ts";
import type { Input, OperationName } from "./operation-types.ts";

/** How a protocol writes what JSON has no type for. `undefined` says: this is not one. */
export interface ValueReader {
  blob(value: unknown): Uint8Array | undefined;
  timestamp(value: unknown): Date | undefined;
}

/** Values as the SDK's commands carry them. */
export const sdkValues: ValueReader = {
  // A copy: the caller may write into its buffer again.
  blob: (value) => (value instanceof Uint8Array ? new Uint8Array(value) : undefined),
  timestamp: (value) => (value instanceof Date ? value : undefined),
};

/**
 * Turns what came in from outside into an operation's input. Throws SerializationException for a
 * value of the wrong type, ValidationException for one out of bounds or missing.
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
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrongType(path, "a structure");
  }
  const source = value as Record<string, unknown>;
  const result: Record<string, unknown> = {};
  for (const name in members) {
    const shape = members[name]!;
    const member = source[name];
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
      if (shape.pattern && !shape.pattern.test(value)) {
        const constraint = `Member must satisfy regular expression pattern: ${shape.pattern.source}`;
        refuse(problems, at, value, constraint);
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
      if (typeof value !== "number" || !Number.isFinite(value)) throw wrongType(at, "an integer");
      checkBounds(Math.floor(value), shape.range, "value", at, String(value), problems);
      return Math.floor(value);
    case "boolean":
      if (typeof value !== "boolean") throw wrongType(at, "a boolean");
      return value;
    case "blob":
      return values.blob(value) ?? raise(wrongType(at, "a blob"));
    case "timestamp":
      return values.timestamp(value) ?? raise(wrongType(at, "a timestamp"));
    case "list":
      if (!Array.isArray(value)) throw wrongType(at, "a list");
      checkBounds(value.length, shape.length, "length", at, "[...]", problems);
      return value.map((member: unknown, index) =>
        readValue(shape.member, member, `${at}.${index + 1}.member`, values, problems),
      );
    case "structure":
      return readMembers(shape.members, value, `${at}.`, values, problems);
  }
}

function checkBounds(
  size: number,
  [least, most]: readonly [number, number],
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
  const shown = value === "null" ? value : `'${value}'`;
  problems.push(`Value ${shown} at '${at}' failed to satisfy constraint: ${constraint}`);
}

function wrongType(at: string, expected: string): Error {
  return serviceError("SerializationException", `Expected ${expected} at '${at || "the request"}'`);
}

function raise(error: Error): never {
  throw error;
}
