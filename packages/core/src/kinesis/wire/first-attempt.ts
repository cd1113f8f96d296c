import type { Readable } from "node:stream";
import type { GetRecordsCommand, GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import { REPLY_STARTED } from "../transport/http-handler.ts";
import { takeReply, watchMemory, type WireReply } from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import type { RequestTemplate } from "./request-template.ts";
import {
  isStandardRetry,
  type CallResult,
  type HttpMessage,
  type OtherAttempt,
} from "./sdk-stack.ts";

type Resolve = GetRecordsCommand["resolveMiddleware"];

/** A client's configuration, as far as an attempt is made by it. */
export type Configuration = Parameters<Resolve>[1];

export type CallOptions = Parameters<Resolve>[2];

/** An attempt that brought a page. */
export interface PageAttempt {
  readonly reply: WireReply;
  readonly result: CallResult;
}

/**
 * A reply by another time of day is the SDK's, which signs the next requests by that. The service takes requests
 * of five minutes ago; a smaller difference, some versions of the SDK leave as it is.
 */
const SAME_TIME_MS = 240_000;

/**
 * One request for a page, without the SDK's middleware: what of the SDK's has an effect when a page comes is
 * done here. Undefined = the SDK is to make it.
 */
export async function attemptPage(
  template: RequestTemplate,
  input: GetRecordsCommandInput,
  configuration: Configuration,
  options: CallOptions,
  watch: ReplyWatch,
): Promise<PageAttempt | OtherAttempt | undefined> {
  // What one of the two rejects with is what a call by the SDK rejects with.
  if (!template.isFor(input, await configuration.credentials())) return undefined;
  const retries = await configuration.retryStrategy();
  if (!("recordSuccess" in retries) || !(await isStandardRetry(retries))) return undefined;
  const token = await retries.acquireInitialRetryToken("");
  try {
    const { systemClockOffset, requestHandler } = configuration;
    const request = template.request(input, systemClockOffset);
    Object.assign(request, {
      [REPLY_STARTED]: (statusCode: number, headers: HttpMessage["headers"]) =>
        watchMemory(statusCode, headers, watch),
    });
    const { response } = await requestHandler.handle(request as never, options ?? {});
    const page = await readPage(response as HttpMessage, systemClockOffset, watch);
    if (page === undefined) {
      // Another reply has set the clock meanwhile: the SDK would judge this one by a time that did not sign it.
      if (isAnotherTime(configuration.systemClockOffset - systemClockOffset)) {
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
  if (isAnotherTime(Date.now() + clockOffset - Date.parse(headers["date"] ?? ""))) return undefined;
  const reply = await takeReply(response, watch);
  if (reply === undefined) return undefined;
  const $metadata = { ...metadataOf(response), attempts: 1, totalRetryDelay: 0 };
  return { reply, result: { response, output: { $metadata } } };
}

/** A reply without a date is not. */
function isAnotherTime(differenceMs: number): boolean {
  return Math.abs(differenceMs) >= SAME_TIME_MS;
}

/** A body that nobody reads must not keep its connection. */
function discard({ body }: HttpMessage): void {
  (body as Partial<Readable> | undefined)?.destroy?.();
}

/** As the SDK has it. */
function metadataOf({ statusCode, headers }: HttpMessage): object {
  return {
    httpStatusCode: statusCode,
    requestId:
      headers["x-amzn-requestid"] ?? headers["x-amzn-request-id"] ?? headers["x-amz-request-id"],
    extendedRequestId: headers["x-amz-id-2"],
    cfId: headers["x-amz-cf-id"],
  };
}
