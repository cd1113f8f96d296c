import { nameOfError } from "../describe-error.ts";
import { withoutResponse } from "../sdk-failure.ts";
import { UnreadableReplyError } from "./wire/records-reply.ts";

/**
 * `JSON.parse` quotes what it cannot read, and the SDK passes that on: of a reply that broke off, this
 * may be a record's data or its partition key. Such an error gives way to one without the quotation,
 * of the same name and metadata. Every other error is returned without the HTTP response that the SDK
 * hangs on it.
 */
export function withoutReply(error: unknown): unknown {
  if (nameOfError(error) !== "SyntaxError" || error instanceof UnreadableReplyError) {
    return withoutResponse(error);
  }
  const { $metadata } = error as { readonly $metadata?: object };
  return Object.assign(new SyntaxError("the reply is not JSON"), { $metadata });
}
