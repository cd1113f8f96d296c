import { Readable } from "node:stream";
import type { GetRecordsCommand } from "@aws-sdk/client-kinesis";
import { describeError } from "../../errors.ts";
import { NoRoomError } from "../records-page.ts";
import type { ReplyStarted } from "../transport/connection.ts";
import { REPLY_STARTED } from "../transport/http-handler.ts";
import { readBody } from "./body.ts";
import { looksLikeCbor, readCborReply, readCborValue } from "./cbor-reply.ts";
import { encodeCborRequest } from "./cbor-request.ts";
import { readJsonReply } from "./json-reply.ts";
import { checkJsonShape } from "./json-shape.ts";
import { UnreadableReplyError, type RecordsReply, type ReplyWatch } from "./records-reply.ts";
import type { AttemptOutcome, HttpMessage, SentRequest } from "./sdk-stack.ts";

/** The encoding of a request. */
export type WireProtocol = "cbor" | "json";

type Watched = SentRequest & { [REPLY_STARTED]?: ReplyStarted };

/** A decoded GetRecords reply. */
export interface WireReply extends RecordsReply {
  /** When the service sent the reply, in milliseconds since the epoch; NaN = unknown. */
  readonly servedAt: number;
}

/** Callbacks of one call, and its first attempt. */
export interface PageCall {
  /** The outcome of the first attempt, if it was made outside the SDK. The SDK handles it like its own. */
  readonly first?: AttemptOutcome | undefined;
  /** Called with the SDK's first request, and the credentials that signed it. */
  readonly onRequest?: (request: SentRequest, credentials: unknown) => void;
  readonly onBytes: ReplyWatch;
  /** Called with `undefined` when a request begins, then with the reply; `undefined` if the SDK must decode that. */
  readonly onReply: (reply: WireReply | undefined) => void;
}

const CBOR_CONTENT_TYPE = "application/x-amz-cbor-1.1";
const JSON_CONTENT_TYPE = "application/x-amz-json-1.1";

/**
 * Replaces the encoding and decoding of one command, inside the user's client: signing, retries, endpoint and the
 * user's middleware stay unchanged. The SDK gets an empty reply. Errors, and replies that cannot be decoded, are left to
 * the SDK, which reports them as usual. If the client does not speak JSON 1.1, the SDK's default, nothing is replaced.
 */
export function overrideCodec(
  command: GetRecordsCommand,
  protocol: WireProtocol,
  { first, onRequest, onBytes, onReply }: PageCall,
): void {
  let pending = first;
  let isFirst = true;
  if (protocol === "cbor") {
    command.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as HttpMessage;
        if (!speaks(request, JSON_CONTENT_TYPE)) return next(args);
        request.headers["content-type"] = CBOR_CONTENT_TYPE;
        request.body = encodeCborRequest(args.input as unknown as Record<string, string | number>);
        return next(args);
      },
      // Before the middleware that sets content-length.
      { step: "build", priority: "high", name: "kcEncode", override: true },
    );
  }
  command.middlewareStack.add(
    (next, context) => async (args) => {
      onReply(undefined);
      const request = args.request as Watched;
      const isOurs = speaks(request, JSON_CONTENT_TYPE) || speaks(request, CBOR_CONTENT_TYPE);
      if (isOurs && isFirst) onRequest?.(request, credentialsOf(context));
      isFirst = false;
      request[REPLY_STARTED] = (statusCode, headers) => reportMemory(statusCode, headers, onBytes);
      const outcome = pending;
      pending = undefined;
      const result =
        outcome === undefined ? await next(args) : (outcome() as Awaited<ReturnType<typeof next>>);
      if (!isOurs) return result;
      onReply(await decodeReply(result.response as HttpMessage, onBytes));
      return result;
    },
    // Next to the request handler.
    { step: "deserialize", priority: "low", name: "kcDecode", override: true },
  );
}

/** Returns the credentials that the SDK signed a request with. */
function credentialsOf(context: object): unknown {
  const { __smithy_context: own } = context as {
    readonly __smithy_context?: {
      readonly selectedHttpAuthScheme?: { readonly identity?: unknown };
    };
  };
  return own?.selectedHttpAuthScheme?.identity;
}

/** A client may be configured for another protocol, whose messages are left to the SDK. */
function speaks({ headers }: HttpMessage, contentType: string): boolean {
  return headers["content-type"] === contentType;
}

/** Only reports the memory for the reply when it begins. The SDK decodes it. */
export function watchReply(command: GetRecordsCommand, watch: ReplyWatch): void {
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { statusCode = 0, headers, body } = result.response as HttpMessage;
      try {
        watch(statusCode >= 300 ? 0 : heldBytes(announcedBytes(headers), headers));
      } catch (error) {
        (body as Partial<Readable> | undefined)?.destroy?.();
        throw error;
      }
      return result;
    },
    { step: "deserialize", priority: "low", name: "kcWatch", override: true },
  );
}

/** Decodes a reply; `undefined` if that is left to the SDK. */
export async function decodeReply(
  response: HttpMessage,
  watch: ReplyWatch,
): Promise<WireReply | undefined> {
  const { statusCode = 0, headers } = response;
  const onBytes = reportMemory(statusCode, headers, watch);
  const body = await readBody(response.body, announcedBytes(headers), onBytes).catch(
    (error: unknown) => {
      if (error instanceof NoRoomError) throw error;
      return failingStream(error);
    },
  );
  response.body = body;
  if (!(body instanceof Uint8Array)) return undefined;
  const isCbor = looksLikeCbor(body);
  if (!isCbor) orUnreadable(response, () => checkJsonShape(body));
  if (statusCode >= 300) {
    if (isCbor) response.body = errorAsJson(body);
    return undefined;
  }
  const reply = isCbor ? orUnreadable(response, () => readCborReply(body)) : readJson(body);
  if (reply === undefined) return undefined;
  response.body = new Uint8Array(0);
  return { ...reply, servedAt: Date.parse(headers["date"] ?? "") };
}

/** Returns the `onBytes` of a reply's body: it reports the memory that the records will take. */
export function reportMemory(
  statusCode: number,
  headers: HttpMessage["headers"],
  watch: ReplyWatch,
): (bytes: number) => void {
  // Computed once: `onBytes` is called for each chunk, and a page has more than a hundred.
  const heldPerByte = statusCode >= 300 ? 0 : heldBytes(1, headers);
  return (bytes) => watch(heldPerByte * bytes);
}

function announcedBytes(headers: HttpMessage["headers"]): number {
  return Number(headers["content-length"]) || 0;
}

/** Records in CBOR are views on the body; records in JSON are copies beside it. */
function heldBytes(bodyBytes: number, headers: HttpMessage["headers"]): number {
  return headers["content-type"]?.includes("cbor") ? bodyBytes : 2 * bodyBytes;
}

/** @throws UnreadableReplyError for a reply that must not be left to the SDK */
function orUnreadable<T>({ statusCode, headers }: HttpMessage, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UnreadableReplyError(describeError(error), {
      httpStatusCode: statusCode ?? 0,
      requestId: headers["x-amzn-requestid"],
    });
  }
}

/** Returns `undefined` if the body is not a page in JSON: the SDK then handles it. */
function readJson(body: Uint8Array): RecordsReply | undefined {
  try {
    return readJsonReply(body);
  } catch {
    return undefined;
  }
}

/** Returns a body that fails with the error once the SDK reads it. An unhandled rejection would end the process. */
function failingStream(error: unknown): Readable {
  return new Readable({
    read(): void {
      this.destroy(error as Error);
    },
  });
}

/** The SDK decodes errors only in JSON. */
function errorAsJson(body: Uint8Array): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(readCborValue(body)));
  } catch {
    return body;
  }
}
