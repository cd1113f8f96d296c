import { inspect } from "node:util";
import { describeError, KcError } from "../errors.ts";
import { withoutMessage } from "../without-message.ts";
import type { LogFields } from "./logger.ts";
import type { Source } from "./source.ts";

/**
 * Returns the fields of a log line as the logger gets them: `stream`, `application`, then the line's own. An error
 * becomes two fields: `error` is its text on one line, `err` the error itself, without the message of a handler's
 * error. The result is a plain object, which `console` prints on one line, without `err`.
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

/** Removes the message of a handler's error: it may quote the record, and more people can read logs than the stream. */
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
