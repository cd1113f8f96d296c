import { inspect } from "node:util";

/** How much of a foreign text a message quotes, in UTF-16 units. */
const LONGEST_TEXT = 1000;
const LONGEST_NAME = 80;
const LINKS_SHOWN = 3;
const SYSTEM_CODE = /^E[A-Z]+$/;
/** Would break a log line in two, colour it, or turn its direction round. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * `Name: message`, and the causes where they say more, of anything that can be thrown: in one line,
 * of at most about 1,000 characters, control characters escaped. Never throws.
 */
export function describeError(error: unknown): string {
  const texts: string[] = [];
  let link = error;
  for (let depth = 0; depth < LINKS_SHOWN && (depth === 0 || link !== undefined); depth += 1) {
    const { text, cause } = read(link);
    if (!texts.some((earlier) => earlier.includes(text))) texts.push(text);
    link = cause;
  }
  return printable(texts.join(", caused by "));
}

/** The `name` of what was thrown, as a short text; `Error` where it has none. Never throws. */
export function nameOfError(error: unknown): string {
  const name = totally(() => (error as { readonly name?: unknown }).name, undefined);
  return typeof name === "string" && name !== "" ? printable(name, LONGEST_NAME) : "Error";
}

/** What was thrown says: an error's message, anything else as a text. In one line. Never throws. */
export function messageOfError(error: unknown): string {
  const text = totally(() => {
    if (!(error instanceof Error)) return describeLink(error);
    const { message } = error as { readonly message: unknown };
    return String(message);
  }, "an error that cannot be read");
  return printable(text);
}

function read(link: unknown): { readonly text: string; readonly cause: unknown } {
  return {
    text: totally(() => describeLink(link), "an error that cannot be read"),
    cause: totally(() => causeOf(link), undefined),
  };
}

function describeLink(error: unknown): string {
  if (typeof error === "string") return error;
  if (!(error instanceof Error)) {
    return inspect(error, { depth: 1, breakLength: Infinity, maxStringLength: LONGEST_TEXT });
  }
  const { message, code } = error as { readonly message: unknown; readonly code?: unknown };
  const text = String(message);
  const adds = typeof code === "string" && SYSTEM_CODE.test(code) && !text.includes(code);
  if (adds) return `${nameOfError(error)}: ${text} (${code})`;
  return text === "" ? nameOfError(error) : `${nameOfError(error)}: ${text}`;
}

/** If several failed together, the first is described. */
function causeOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return undefined;
  const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: unknown };
  return cause ?? (Array.isArray(errors) ? errors[0] : undefined);
}

/** A text in one line, cut after `longest` UTF-16 units, control characters escaped. */
export function printable(text: string, longest = LONGEST_TEXT): string {
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

/** A getter, a proxy or a `toString` of a stranger's may throw. */
function totally<T>(answer: () => T, otherwise: T): T {
  try {
    return answer();
  } catch {
    return otherwise;
  }
}
