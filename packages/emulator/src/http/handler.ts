import { KinesisServiceException } from "@aws-sdk/client-kinesis";
import { serviceError } from "../errors.ts";
import type { Link } from "../link.ts";
import { isOperationName, whyNotServed } from "../operations/operations.ts";
import { InjectedFault, type Service } from "../service.ts";
import { breakConnection, type Request, type Response } from "./dual-server.ts";
import { cborProtocol } from "./cbor-protocol.ts";
import type { OriginHeaders } from "./request-origin.ts";
import { jsonProtocol } from "./json-protocol.ts";
import type { Protocol } from "./protocol.ts";

const TARGET_PREFIX = "Kinesis_20131202.";
/** 500 records of 10 MiB in all, in base64, and room for their keys. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** A longer one is read so far, so that its client gets the answer; then the connection is broken. */
const MOST_SWALLOWED_BYTES = 4 * MAX_BODY_BYTES;

const protocols: ReadonlyMap<string, Protocol> = new Map(
  [jsonProtocol, cborProtocol].map((protocol) => [protocol.contentType, protocol]),
);

/** A reply on its way out. */
interface Reply {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string | Uint8Array;
}

/**
 * The HTTP face of a service: takes a request apart, has it carried out, writes the reply.
 * @param mayAnswer by its headers; what it refuses is not carried out
 */
export function createHandler(
  service: Service,
  link: Link,
  mayAnswer: (headers: OriginHeaders) => boolean,
): (request: Request, response: Response) => void {
  return (request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    // Reads and writes fail only because the client went away.
    request.on("error", () => {});
    response.on("error", () => {});
    const reply = mayAnswer(request.headers)
      ? answer(service, link, request, gone.signal)
      : Promise.resolve(FOREIGN);
    reply
      .then(async (made) => {
        writeHead(service, response, made);
        await writeBody(link, response, made.body, gone.signal);
      })
      .catch((error: unknown) => {
        if (gone.signal.aborted) return;
        if (error instanceof ConnectionBreak) breakConnection(request);
        else {
          const body = String(error);
          writeHead(service, response, { status: 500, body });
          response.end(body);
        }
      });
  };
}

const FOREIGN: Reply = {
  status: 403,
  body:
    "kc-emulator listens for this machine alone: call it by localhost or an address, and from no page " +
    "of another host. With --host it listens for others.\n",
};

class ConnectionBreak extends Error {}

async function answer(
  service: Service,
  link: Link,
  request: Request,
  signal: AbortSignal,
): Promise<Reply> {
  const body = await readBody(request);
  if (body === undefined) return xml(413, "RequestEntityTooLarge");
  if (request.method !== "POST") return xml(403, "AccessDeniedException");
  const contentType = (request.headers["content-type"] ?? "").split(";")[0]!.trim();
  const protocol = protocols.get(contentType);
  if (protocol === undefined) return xml(404, "UnknownOperationException");
  try {
    const target = String(request.headers["x-amz-target"] ?? "");
    const operation = target.startsWith(TARGET_PREFIX) ? target.slice(TARGET_PREFIX.length) : "";
    if (!isOperationName(operation)) {
      throw serviceError("UnknownOperationException", whyNotServed(operation || target));
    }
    const input = decode(protocol, body);
    const caller = { link, values: protocol.values, signal };
    const output = await service.handle(operation, input, caller);
    return { status: 200, contentType, body: protocol.encode(output) };
  } catch (error) {
    if (error instanceof InjectedFault) return actOut(error.fault);
    const failure = asServiceError(error);
    const members = { __type: failure.name, message: failure.message };
    return {
      status: failure.$metadata.httpStatusCode ?? 500,
      contentType,
      body: protocol.encode(members),
    };
  }
}

function decode(protocol: Protocol, body: Buffer): unknown {
  try {
    return protocol.decode(body);
  } catch {
    throw serviceError("SerializationException", `The body is not ${protocol.contentType}`);
  }
}

function actOut(fault: InjectedFault["fault"]): Reply {
  if (fault.kind === "dropped connection") throw new ConnectionBreak();
  const title = `${fault.status} Service Unavailable`;
  const body = `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return { status: fault.status, contentType: "text/html", body };
}

/** An injected error that is not the service's can only be shown as a failure of the service. */
function asServiceError(error: unknown): KinesisServiceException {
  if (error instanceof KinesisServiceException) return error;
  return serviceError("InternalFailure", error instanceof Error ? error.message : String(error));
}

/** How the service answers what it cannot even take for a request of some protocol. */
function xml(status: number, type: string): Reply {
  return { status, body: `<${type}/>\n` };
}

function writeHead(service: Service, response: Response, reply: Reply): void {
  response.statusCode = reply.status;
  response.sendDate = false;
  response.setHeader("date", new Date(service.now()).toUTCString());
  response.setHeader("x-amzn-requestid", service.nextRequestId());
  if (reply.contentType !== undefined) response.setHeader("content-type", reply.contentType);
  response.setHeader("content-length", Buffer.byteLength(reply.body));
}

/** At the link's speed, a fiftieth of a second's bytes at a time. */
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
    // Node's types part HTTP/1.1 from HTTP/2; both take bytes.
    (response as NodeJS.WritableStream).write(slice);
  }
  response.end();
}

/** The whole body; `undefined` if it is too long. One that goes on and on breaks its connection. */
async function readBody(request: Request): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    else if (length > MOST_SWALLOWED_BYTES) breakConnection(request);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks, length) : undefined;
}
