import type { CallResult, HttpMessage, Wrap } from "./sdk-stack.ts";

/** Spares the SDK a reply that was taken from it: nothing of it is left to read but its headers. */
export function skipTaken(isTaken: () => boolean): Wrap {
  return (sdk) => (next, context) => async (args) => {
    const result = await next(args);
    const response = result.response as HttpMessage;
    if (!isTaken() || !isEmptied(response)) return sdk(async () => result, context)(args);
    return { response, output: { $metadata: metadataOf(response) } } satisfies CallResult;
  };
}

/** Middleware may have put another reply in its place. */
function isEmptied({ statusCode = 0, body }: HttpMessage): boolean {
  return statusCode < 300 && body instanceof Uint8Array && body.byteLength === 0;
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
