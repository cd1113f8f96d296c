import { KinesisServiceException } from "@aws-sdk/client-kinesis";
import { serviceError } from "../errors.ts";
import type { Link } from "../link.ts";
import { isOperationName, whyNotServed } from "../operations/operations.ts";
import { InjectedFault, type Service } from "../service.ts";
import { cborProtocol } from "./cbor-protocol.ts";
import { jsonProtocol } from "./json-protocol.ts";
import type { Protocol } from "./protocol.ts";
import type { Reply } from "./reply.ts";

/** The prefix of the operation in the header `x-amz-target`. */
export const TARGET_PREFIX = "Kinesis_20131202.";

const protocols: ReadonlyMap<string, Protocol> = new Map(
  [jsonProtocol, cborProtocol].map((protocol) => [protocol.contentType, protocol]),
);

/** A request whose body was read. An absent header is an empty string. */
export interface ReadRequest {
  readonly method: string;
  readonly contentType: string;
  /** The header `x-amz-target`. */
  readonly target: string;
  /** Undefined = it was too long. */
  readonly body: Buffer | undefined;
}

/** Thrown to break the client's connection instead of a reply. */
export class ConnectionBreak extends Error {}

/**
 * Handles a request and returns the reply.
 * @throws ConnectionBreak for an injected fault; the signal's reason
 */
export async function answer(
  service: Service,
  link: Link,
  request: ReadRequest,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  if (request.body === undefined) return xml(413, "RequestEntityTooLarge");
  if (request.method !== "POST") return xml(403, "AccessDeniedException");
  const contentType = request.contentType.split(";")[0]!.trim();
  const protocol = protocols.get(contentType);
  if (protocol === undefined) return xml(404, "UnknownOperationException");
  try {
    const { target } = request;
    const operation = target.startsWith(TARGET_PREFIX) ? target.slice(TARGET_PREFIX.length) : "";
    if (!isOperationName(operation)) {
      throw serviceError("UnknownOperationException", whyNotServed(operation || target));
    }
    const input = decode(protocol, request.body);
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
      error: failure.name,
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

/** Converts an injected error that is not the service's into an InternalFailure. */
function asServiceError(error: unknown): KinesisServiceException {
  if (error instanceof KinesisServiceException) return error;
  return serviceError("InternalFailure", error instanceof Error ? error.message : String(error));
}

/** The service's reply to a request of no known protocol. */
function xml(status: number, type: string): Reply {
  return { status, body: `<${type}/>\n`, error: type };
}
