import type { Readable } from "node:stream";
import type { GetRecordsCommand, GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import { REPLY_STARTED } from "../transport/http-handler.ts";
import { decodeReply, reportMemory, type WireReply } from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import type { RequestTemplate } from "./request-template.ts";
import {
  isStandardRetry,
  type CallResult,
  type HttpMessage,
  type AttemptOutcome,
} from "./sdk-stack.ts";

type Resolve = GetRecordsCommand["resolveMiddleware"];

/** A client's configuration. */
export type Configuration = Parameters<Resolve>[1];

export type CallOptions = Parameters<Resolve>[2];

/** A successful attempt. */
export interface PageAttempt {
  readonly reply: WireReply;
  readonly result: CallResult;
}

/**
 * The maximum clock skew between this machine and a reply, in milliseconds. A reply with more skew is left to the SDK,
 * which corrects its clock by it. The service accepts requests up to five minutes old; some versions of the SDK do
 * not correct a smaller skew.
 */
const MAX_SKEW_MS = 240_000;

/**
 * Sends one GetRecords request without the SDK's middleware, and does itself what the middleware would do on success.
 * Returns `undefined` if the SDK must send the request instead.
 */
export async function attemptPage(
  template: RequestTemplate,
  input: GetRecordsCommandInput,
  configuration: Configuration,
  options: CallOptions,
  watch: ReplyWatch,
): Promise<PageAttempt | AttemptOutcome | undefined> {
  // If one of these two rejects, a call by the SDK would reject with the same error.
  if (!template.isFor(input, await configuration.credentials())) return undefined;
  const retries = await configuration.retryStrategy();
  if (!("recordSuccess" in retries) || !(await isStandardRetry(retries))) return undefined;
  const token = await retries.acquireInitialRetryToken("");
  try {
    const { systemClockOffset, requestHandler } = configuration;
    const request = template.request(input, systemClockOffset);
    Object.assign(request, {
      [REPLY_STARTED]: (statusCode: number, headers: HttpMessage["headers"]) =>
        reportMemory(statusCode, headers, watch),
    });
    const { response } = await requestHandler.handle(request as never, options ?? {});
    const page = await readPage(response as HttpMessage, systemClockOffset, watch);
    if (page === undefined) {
      // Another reply has changed the SDK's clock in the meantime: the SDK would compare this reply with a clock
      // that its request was not signed with.
      if (isSkewed(configuration.systemClockOffset - systemClockOffset)) {
        discard(response as HttpMessage);
        return undefined;
      }
      return () => ({ response });
    }
    retries.recordSuccess(token);
    return page;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

async function readPage(
  response: HttpMessage,
  clockOffset: number,
  watch: ReplyWatch,
): Promise<PageAttempt | undefined> {
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300) return undefined;
  if (isSkewed(Date.now() + clockOffset - Date.parse(headers["date"] ?? ""))) return undefined;
  const reply = await decodeReply(response, watch);
  if (reply === undefined) return undefined;
  const $metadata = { ...metadataOf(response), attempts: 1, totalRetryDelay: 0 };
  return { reply, result: { response, output: { $metadata } } };
}

/** Returns false for NaN, which is the difference if a reply has no date. */
function isSkewed(differenceMs: number): boolean {
  return Math.abs(differenceMs) >= MAX_SKEW_MS;
}

/** An unread body would keep its connection busy. */
function discard({ body }: HttpMessage): void {
  (body as Partial<Readable> | undefined)?.destroy?.();
}

/** The metadata that the SDK would set. */
function metadataOf({ statusCode, headers }: HttpMessage): object {
  return {
    httpStatusCode: statusCode,
    requestId:
      headers["x-amzn-requestid"] ?? headers["x-amzn-request-id"] ?? headers["x-amz-request-id"],
    extendedRequestId: headers["x-amz-id-2"],
    cfId: headers["x-amz-cf-id"],
  };
}
