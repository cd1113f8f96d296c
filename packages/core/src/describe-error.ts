import { inspect } from "node:util";

/** Maximum length of a foreign text that a message quotes, in UTF-16 units. */
const MAX_TEXT = 1000;
const MAX_NAME = 80;
/** Number of errors of a cause chain that are described. */
const MAX_LINKS = 3;
const SYSTEM_CODE = /^E[A-Z]+$/;
/** Characters that would break a log line, colour it, or reverse its text direction. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Describes anything that can be thrown as `Name: message`, with the causes if they add information. One line
 * of about 1,000 characters at most, with control characters escaped. Never throws.
 */
export function describeError(error: unknown): string {
  const texts: string[] = [];
  let link = error;
  for (let depth = 0; depth < MAX_LINKS && (depth === 0 || link !== undefined); depth += 1) {
    const { text, cause } = read(link);
    if (!texts.some((earlier) => earlier.includes(text))) texts.push(text);
    link = cause;
  }
  return printable(texts.join(", caused by "));
}

/** The `name` of a thrown value, cut to 80 characters; `Error` if it has none. Never throws. */
export function nameOfError(error: unknown): string {
  const name = orElse(() => (error as { readonly name?: unknown }).name, undefined);
  return typeof name === "string" && name !== "" ? printable(name, MAX_NAME) : "Error";
}

/** The message of an error, or any other thrown value as text, on one line. Never throws. */
export function messageOfError(error: unknown): string {
  const text = orElse(() => {
    if (!(error instanceof Error)) return describeLink(error);
    const { message } = error as { readonly message: unknown };
    return String(message);
  }, "an error that cannot be read");
  return printable(text);
}

function read(link: unknown): { readonly text: string; readonly cause: unknown } {
  return {
    text: orElse(() => describeLink(link), "an error that cannot be read"),
    cause: orElse(() => causeOf(link), undefined),
  };
}

function describeLink(error: unknown): string {
  if (typeof error === "string") return error;
  if (!(error instanceof Error)) {
    return inspect(error, { depth: 1, breakLength: Infinity, maxStringLength: MAX_TEXT });
  }
  const { message, code } = error as { readonly message: unknown; readonly code?: unknown };
  const text = String(message);
  const adds = typeof code === "string" && SYSTEM_CODE.test(code) && !text.includes(code);
  if (adds) return `${nameOfError(error)}: ${text} (${code})`;
  return text === "" ? nameOfError(error) : `${nameOfError(error)}: ${text}`;
}

/** The cause of an error; of an AggregateError, its first error. */
function causeOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return undefined;
  const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: unknown };
  return cause ?? (Array.isArray(errors) ? errors[0] : undefined);
}

/** The text on one line, cut after `longest` UTF-16 units, with control characters escaped. */
export function printable(text: string, longest = MAX_TEXT): string {
  const cut =
    text.length > longest
      ? `${text.slice(0, longest)}… (${text.length - longest} characters more)`
      : text;
  return cut.replaceAll(UNPRINTABLE, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${hex(character)}` : escaped;
  });
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, "0");
}

/** Returns `otherwise` if `answer` throws: getters, proxies and `toString` of foreign objects may. */
function orElse<T>(answer: () => T, otherwise: T): T {
  try {
    return answer();
  } catch {
    return otherwise;
  }
}
