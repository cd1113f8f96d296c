import type { Link } from "../link.ts";
import type { Service } from "../service.ts";
import { answerAdmin } from "./admin.ts";
import { answer, ConnectionBreak, TARGET_PREFIX } from "./answer.ts";
import { breakConnection, type Request, type Response } from "./dual-server.ts";
import { readBody } from "./read-body.ts";
import type { Reply } from "./reply.ts";
import type { RequestLogEntry } from "./request-log.ts";
import type { OriginHeaders } from "./request-origin.ts";

/**
 * Creates the HTTP handler of a service.
 * @param mayAnswer returns whether a request is allowed, by its headers; others are not carried out
 * @param log called when a request has ended
 */
export function createHandler(
  service: Service,
  link: Link,
  mayAnswer: (headers: OriginHeaders) => boolean,
  log: ((entry: RequestLogEntry) => void) | undefined,
): (request: Request, response: Response) => void {
  return (request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    // Reads and writes fail only if the client has disconnected.
    request.on("error", () => {});
    response.on("error", () => {});
    let sent: Reply | undefined;
    if (log !== undefined) {
      const at = service.now();
      const since = performance.now();
      response.once("close", () => {
        log({
          at,
          operation: nameOf(request),
          status: sent?.status ?? 0,
          error: sent?.error,
          ms: performance.now() - since,
          replyBytes: sent === undefined ? 0 : Buffer.byteLength(sent.body),
        });
      });
    }
    const reply = mayAnswer(request.headers)
      ? read(service, link, request, gone.signal)
      : Promise.resolve(FOREIGN);
    reply
      .then(async (made) => {
        sent = made;
        writeHead(service, response, made);
        await writeBody(link, response, made.body, gone.signal);
      })
      .catch((error: unknown) => {
        if (gone.signal.aborted) return;
        if (error instanceof ConnectionBreak) breakConnection(request);
        else {
          sent = { status: 500, body: String(error) };
          writeHead(service, response, sent);
          response.end(sent.body);
        }
      });
  };
}

/** The operation of a request, or its method and path, in at most 100 printable characters. */
function nameOf(request: Request): string {
  const target = targetOf(request);
  const name = target.startsWith(TARGET_PREFIX)
    ? target.slice(TARGET_PREFIX.length)
    : `${request.method} ${request.url}`;
  return name.slice(0, 100).replaceAll(/[^\x21-\x7e ]/g, "?");
}

function targetOf(request: Request): string {
  return String(request.headers["x-amz-target"] ?? "");
}

const FOREIGN: Reply = {
  status: 403,
  body:
    "kc-emulator listens for this machine alone: call it by localhost or an address, and from no page " +
    "of another host. With --host it listens for others.\n",
};

async function read(
  service: Service,
  link: Link,
  request: Request,
  signal: AbortSignal,
): Promise<Reply> {
  const body = await readBody(request);
  const { method = "", url = "", headers } = request;
  const admin = body && answerAdmin(method, url, { service, link, body });
  if (admin !== undefined) return admin;
  const contentType = headers["content-type"] ?? "";
  return answer(service, link, { method, contentType, target: targetOf(request), body }, signal);
}

function writeHead(service: Service, response: Response, reply: Reply): void {
  response.statusCode = reply.status;
  response.sendDate = false;
  response.setHeader("date", new Date(service.now()).toUTCString());
  response.setHeader("x-amzn-requestid", service.nextRequestId());
  if (reply.contentType !== undefined) response.setHeader("content-type", reply.contentType);
  response.setHeader("content-length", Buffer.byteLength(reply.body));
}

/** Writes the body at the link's bandwidth, in chunks of 20 ms. */
async function writeBody(
  link: Link,
  response: Response,
  body: string | Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  if (link.bandwidth === undefined) return void response.end(body);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const step = Math.ceil(link.bandwidth / 50);
  for (let from = 0; from < bytes.length; from += step) {
    const slice = bytes.subarray(from, from + step);
    await link.transfer(slice.length, signal);
    // Node's types separate HTTP/1.1 from HTTP/2, but both accept bytes.
    (response as NodeJS.WritableStream).write(slice);
  }
  response.end();
}
