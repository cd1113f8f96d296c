import { nameOfError } from "./describe-error.ts";

/** What a type or a code is written in; anything else may be a text that quotes something. */
const IDENTIFIER = /^[\w$.:-]{1,80}$/;
const FRAME = /^\s+at /;

/**
 * What kind of thing was thrown, without what it says: `TypeError`, or `Error (E_STOCK)` if it has a
 * code. Never throws.
 */
export function typeOfError(thrown: unknown): string {
  const code = codeOfError(thrown);
  return code === undefined ? typeName(thrown) : `${typeName(thrown)} (${code})`;
}

/** Its `code`, if that is a short identifier. Never throws. */
export function codeOfError(thrown: unknown): string | undefined {
  const code = property(thrown, "code");
  return typeof code === "string" && IDENTIFIER.test(code) ? code : undefined;
}

/**
 * An error of the same name, code and stack frames that has no message. A handler's error may quote
 * the record that it failed at, as those of `JSON.parse` do. Never throws.
 */
export function withoutMessage(thrown: unknown): Error {
  const stripped = new Error();
  stripped.name = typeName(thrown);
  stripped.stack = [typeOfError(thrown), ...framesOf(thrown)].join("\n");
  const code = codeOfError(thrown);
  return code === undefined ? stripped : Object.assign(stripped, { code });
}

function typeName(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return `a thrown ${typeof thrown}`;
  const name = nameOfError(thrown);
  return IDENTIFIER.test(name) ? name : "Error";
}

/** The lines of the stack after the message, which may have lines that look like frames itself. */
function framesOf(thrown: unknown): readonly string[] {
  const stack = property(thrown, "stack");
  const message = property(thrown, "message");
  if (typeof stack !== "string" || typeof message !== "string") return [];
  const at = stack.indexOf(message);
  // A message that was changed since leaves no sign of where the first one ends.
  if (at < 0) return [];
  return stack
    .slice(at + message.length)
    .split("\n")
    .filter((line) => FRAME.test(line));
}

function property(thrown: unknown, name: string): unknown {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  try {
    return (thrown as Record<string, unknown>)[name];
  } catch {
    // A getter or a proxy of a stranger's: there is nothing to be read.
    return undefined;
  }
}
