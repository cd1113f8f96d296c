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
import type { HttpMessage, OtherAttempt, SentRequest } from "./sdk-stack.ts";

/** What the request is written in. */
export type WireProtocol = "cbor" | "json";

type Watched = SentRequest & { [REPLY_STARTED]?: ReplyStarted };

/** A reply of GetRecords, and when the service made it: milliseconds since the epoch, or NaN. */
export interface WireReply extends RecordsReply {
  readonly servedAt: number;
}

/** What is reported of one call, and what it begins with. */
export interface PageCall {
  /** The outcome of the first attempt, if there was one; the SDK judges it as its own. */
  readonly first?: OtherAttempt | undefined;
  /** What the SDK sends first, and the credentials that it was signed with. */
  readonly onRequest?: (request: SentRequest, credentials: unknown) => void;
  readonly onBytes: ReplyWatch;
  /** What the last reply brought; undefined = a request begins, or the SDK's own output has it. */
  readonly onReply: (reply: WireReply | undefined) => void;
}

const CBOR_CONTENT_TYPE = "application/x-amz-cbor-1.1";
const JSON_CONTENT_TYPE = "application/x-amz-json-1.1";

/**
 * Takes the encoding of one command into our own hands, inside the user's own client: signing,
 * retries, endpoint and whatever middleware the user added stay as they are. The SDK is handed an
 * empty reply; errors, and whatever cannot be read, are left to it, so that it reports them as usual. So is
 * everything of a client that speaks another protocol than JSON 1.1, the SDK's default.
 */
export function decodeOurselves(
  command: GetRecordsCommand,
  protocol: WireProtocol,
  { first, onRequest, onBytes, onReply }: PageCall,
): void {
  let came = first;
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
      // Before the body's length is reported.
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
      request[REPLY_STARTED] = (statusCode, headers) => watchMemory(statusCode, headers, onBytes);
      const take = came;
      came = undefined;
      const result =
        take === undefined ? await next(args) : (take() as Awaited<ReturnType<typeof next>>);
      if (!isOurs) return result;
      onReply(await takeReply(result.response as HttpMessage, onBytes));
      return result;
    },
    // Next to the connection.
    { step: "deserialize", priority: "low", name: "kcDecode", override: true },
  );
}

/** What the SDK has signed a request with. */
function credentialsOf(context: object): unknown {
  const { __smithy_context: own } = context as {
    readonly __smithy_context?: {
      readonly selectedHttpAuthScheme?: { readonly identity?: unknown };
    };
  };
  return own?.selectedHttpAuthScheme?.identity;
}

/** A client may be configured for another protocol: that one's messages are the SDK's alone. */
function speaks({ headers }: HttpMessage, contentType: string): boolean {
  return headers["content-type"] === contentType;
}

/** Only reports the reply's beginning: the SDK reads it. */
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

/** Takes the page out of a reply; undefined = the SDK is left to make of it what it can. */
export async function takeReply(
  response: HttpMessage,
  watch: ReplyWatch,
): Promise<WireReply | undefined> {
  const { statusCode = 0, headers } = response;
  const onBytes = watchMemory(statusCode, headers, watch);
  const body = await readBody(response.body, announcedBytes(headers), onBytes).catch(
    (error: unknown) => {
      if (error instanceof NoRoomError) throw error;
      return failing(error);
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

/** What is reported of a reply's memory as its body comes. */
export function watchMemory(
  statusCode: number,
  headers: HttpMessage["headers"],
  watch: ReplyWatch,
): (bytes: number) => void {
  // Called with each piece of the body, of which a page has more than a hundred.
  const held = statusCode >= 300 ? 0 : heldBytes(1, headers);
  return (bytes) => watch(held * bytes);
}

function announcedBytes(headers: HttpMessage["headers"]): number {
  return Number(headers["content-length"]) || 0;
}

/** Records in CBOR are views on the body; those in JSON are copied out of it. */
function heldBytes(bodyBytes: number, headers: HttpMessage["headers"]): number {
  return headers["content-type"]?.includes("cbor") ? bodyBytes : 2 * bodyBytes;
}

/** @throws UnreadableReplyError for what is not to be left to the SDK */
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

/** Undefined for what is no page in JSON: of that the SDK is the judge. */
function readJson(body: Uint8Array): RecordsReply | undefined {
  try {
    return readJsonReply(body);
  } catch {
    return undefined;
  }
}

/** A body that breaks off once more, when the SDK reads it. An error that nobody awaits ends the process. */
function failing(error: unknown): Readable {
  return new Readable({
    read(): void {
      this.destroy(error as Error);
    },
  });
}

/** The SDK reads errors in JSON alone. */
function errorAsJson(body: Uint8Array): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(readCborValue(body)));
  } catch {
    return body;
  }
}
