import { nameOfError } from "./describe-error.ts";

/** The characters of a type or code. Anything else may be text that quotes data. */
const IDENTIFIER = /^[\w$.:-]{1,80}$/;
const FRAME = /^\s+at /;

/** The type of a thrown value without its message: `TypeError`, or `Error (E_STOCK)` with a code. Never throws. */
export function typeOfError(thrown: unknown): string {
  const code = codeOfError(thrown);
  return code === undefined ? typeName(thrown) : `${typeName(thrown)} (${code})`;
}

/** The `code` of a thrown value, if that is a short identifier. Never throws. */
export function codeOfError(thrown: unknown): string | undefined {
  const code = property(thrown, "code");
  return typeof code === "string" && IDENTIFIER.test(code) ? code : undefined;
}

/**
 * Returns an error with the same name, code and stack frames but no message: a handler's error may quote the failed
 * record, as those of `JSON.parse` do. Never throws.
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

/** The stack frames after the message. The message itself may have lines that look like frames. */
function framesOf(thrown: unknown): readonly string[] {
  const stack = property(thrown, "stack");
  const message = property(thrown, "message");
  if (typeof stack !== "string" || typeof message !== "string") return [];
  const at = stack.indexOf(message);
  // The message was changed after the stack was captured: where the original ends is not known.
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
    // A getter or proxy of a foreign object threw.
    return undefined;
  }
}
