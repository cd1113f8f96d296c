import { describeError } from "@kc/core";

/** The only members of a driver's error that are kept. */
const FIELDS = ["code", "errno", "syscall", "address", "port", "hostname"] as const;
const NESTED = ["cause", "lastNodeError", "lastError"] as const;
const LISTS = ["errors", "previousErrors"] as const;
const MAX_DEPTH = 5;

/** Redis quotes the arguments of an unknown command. */
const QUOTED = /(with args beginning with:).*/g;

/**
 * A copy of the driver's error that is safe to log. `ioredis` attaches the command with all its arguments: the password
 * of AUTH and HELLO, keys, and whole scripts.
 */
export function loggable(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return redacted(describeError(error));
  const copy = new Error(redacted(error.message));
  const fields = error as Error & Record<string, unknown>;
  const kept: Record<string, unknown> = { name: error.name };
  if (error.stack !== undefined) kept["stack"] = redacted(error.stack);
  for (const name of FIELDS) if (fields[name] !== undefined) kept[name] = fields[name];
  if (depth < MAX_DEPTH) {
    for (const name of NESTED) {
      if (fields[name] instanceof Error) kept[name] = loggable(fields[name], depth + 1);
    }
    for (const name of LISTS) {
      const list = fields[name];
      if (Array.isArray(list)) kept[name] = list.map((each) => loggable(each, depth + 1));
    }
  }
  for (const [name, value] of Object.entries(kept)) {
    Object.defineProperty(copy, name, { value, configurable: true, writable: true });
  }
  return copy;
}

const redacted = (text: string): string => text.replaceAll(QUOTED, "$1 …");
