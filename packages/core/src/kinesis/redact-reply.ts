import { nameOfError } from "../describe-error.ts";
import { withoutResponse } from "../sdk-failure.ts";
import { UnreadableReplyError } from "./wire/records-reply.ts";

/**
 * Removes a reply's content from an error. The errors of `JSON.parse` quote the text that it cannot parse,
 * and the SDK passes them on: in a truncated reply, that text may be a record's data or partition key. Such
 * an error is replaced by one with the same name and metadata, but without the quote. Any other error is
 * returned without the HTTP response that the SDK attaches to it.
 */
export function redactReply(error: unknown): unknown {
  if (nameOfError(error) !== "SyntaxError" || error instanceof UnreadableReplyError) {
    return withoutResponse(error);
  }
  const { $metadata } = error as { readonly $metadata?: object };
  return Object.assign(new SyntaxError("the reply is not JSON"), { $metadata });
}
