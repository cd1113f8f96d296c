import { inspect } from "node:util";
import { describeError } from "../errors.ts";
import type { LogFields } from "./logger.ts";
import type { Source } from "./telemetry.ts";

/**
 * The fields of one log line, as the logger gets them: `stream` and `application`, then the line's
 * own. An error comes twice: `error` is its text on one line, `err` the error itself. `console`
 * prints all but `err`, on one line; to any other logger it is a plain object.
 */
export function lineFields(source: Source, { error, ...own }: LogFields): LogFields {
  const errors = error === undefined ? {} : { error: describeError(error), err: error };
  const given = Object.entries({ ...source, ...own, ...errors });
  const fields = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  return Object.defineProperty(fields, inspect.custom, { value: () => onOneLine(fields) });
}

function onOneLine(fields: LogFields): string {
  const printed: Record<string, unknown> = { ...fields };
  delete printed["err"];
  return inspect(printed, { breakLength: Infinity, compact: true, depth: 3 });
}
