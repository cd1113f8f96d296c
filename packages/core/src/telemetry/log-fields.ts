import { inspect } from "node:util";
import { describeError, KcError } from "../errors.ts";
import { withoutMessage } from "../without-message.ts";
import type { LogFields } from "./logger.ts";
import type { Source } from "./source.ts";

/**
 * The fields of one log line, as the logger gets them: `stream` and `application`, then the line's
 * own. An error comes twice: `error` is its text on one line, `err` the error itself, without the
 * message of a handler's error. `console` prints all but `err`, on one line; to any other logger it
 * is a plain object.
 */
export function lineFields(source: Source, { error, ...own }: LogFields): LogFields {
  const err = withoutHandlersMessage(error);
  const errors = error === undefined ? {} : { error: describeError(err), err };
  const given = Object.entries({ ...source, ...own, ...errors });
  const fields = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  return Object.defineProperty(fields, inspect.custom, { value: () => onOneLine(fields) });
}

function onOneLine(fields: LogFields): string {
  const printed: Record<string, unknown> = { ...fields };
  delete printed["err"];
  return inspect(printed, { breakLength: Infinity, compact: true, depth: 3 });
}

/** What a handler throws may quote its record, and a log has more readers than a stream. */
function withoutHandlersMessage(error: unknown): unknown {
  if (!KcError.is(error) || error.code !== "HANDLER_FAILED") return error;
  const { code, message, shardId, cause } = error;
  const logged = new KcError(code, message, {
    cause: withoutMessage(cause),
    ...(shardId === undefined ? {} : { shardId }),
  });
  if (error.stack !== undefined) logged.stack = error.stack;
  return logged;
}
