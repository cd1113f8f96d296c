import { randomUUID } from "node:crypto";
import type { GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import { encodeCborRequest } from "./cbor-request.ts";
import type { WireProtocol } from "./middleware.ts";
import type { SentRequest } from "./sdk-stack.ts";
import { RequestSigner, sha256, type Credentials } from "./signature.ts";

/** The headers that are known to be the same in the next request, or that the next one has for itself. */
const KNOWN_HEADERS = new Set([
  "amz-sdk-invocation-id",
  "amz-sdk-request",
  "authorization",
  "content-length",
  "content-type",
  "host",
  "user-agent",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token",
  "x-amz-target",
  "x-amz-user-agent",
]);

/** What was worked out may have taken so long, in milliseconds: the time of day has no fraction. */
const SAME_TIME_MS = 5000;

type RequestClass = new (parts: object) => SentRequest;
type Input = GetRecordsCommandInput;

/**
 * A request for a page as the SDK made it, from which the next ones are made: endpoint and head are the same,
 * body, date and signature are their own. Only for the credentials and the stream of that request.
 */
export class RequestTemplate {
  readonly #protocol: WireProtocol;
  readonly #request: SentRequest;
  readonly #input: Input;
  readonly #credentials: Credentials;
  readonly #signer: RequestSigner;
  /** That of the last request, since the epoch. */
  #second = NaN;
  #secondText = "";

  private constructor(
    protocol: WireProtocol,
    request: SentRequest,
    input: Input,
    credentials: Credentials,
    signer: RequestSigner,
  ) {
    this.#protocol = protocol;
    // Without what belongs to its own call.
    this.#request = copyOf(request, { ...request.headers }, undefined);
    this.#input = input;
    // They may be changed in place.
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    this.#credentials = { accessKeyId, secretAccessKey, sessionToken };
    this.#signer = signer;
  }

  /**
   * Undefined = the request has something that is not known here, or another signature than it would get here.
   * @param clockOffset what the client adds to this machine's time of day, in milliseconds
   */
  static of(
    protocol: WireProtocol,
    request: SentRequest,
    input: Input,
    credentials: Credentials,
    clockOffset: number,
  ): RequestTemplate | undefined {
    const { headers } = request;
    if (!Object.keys(headers).every((name) => KNOWN_HEADERS.has(name))) return undefined;
    if (request.method !== "POST" || Object.keys(request.query ?? {}).length > 0) return undefined;
    const { authorization = "", "x-amz-date": time = "" } = headers;
    const signer = RequestSigner.like(authorization);
    if (signer === undefined) return undefined;
    const late = Date.now() + clockOffset - timeOf(time);
    if (!(Math.abs(late) < SAME_TIME_MS)) return undefined;
    const template = new RequestTemplate(protocol, request, input, credentials, signer);
    const again = template.#make(input, headers["amz-sdk-invocation-id"]!, time);
    return isSame(again, request) ? template : undefined;
  }

  /** Is a request for this input, by these credentials, made from it? */
  isFor({ StreamARN }: Input, credentials: Credentials | undefined): boolean {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#credentials;
    return (
      // A provider may have another object each time.
      credentials?.accessKeyId === accessKeyId &&
      credentials.secretAccessKey === secretAccessKey &&
      credentials.sessionToken === sessionToken &&
      StreamARN === this.#input.StreamARN
    );
  }

  /** @param clockOffset as of `of` */
  request(input: Input, clockOffset: number): SentRequest {
    return this.#make(input, randomUUID(), this.#timeText(Date.now() + clockOffset));
  }

  /** As `20261128T235959Z`. Many requests are made in one second. */
  #timeText(millis: number): string {
    const second = Math.floor(millis / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const time = new Date(second * 1000).toISOString();
      this.#secondText = `${time.slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    }
    return this.#secondText;
  }

  #make(input: Input, id: string, time: string): SentRequest {
    const template = this.#request;
    const body = encoded(this.#protocol, input);
    const headers = {
      // In the same order.
      ...template.headers,
      "amz-sdk-invocation-id": id,
      "content-length": String(body.byteLength),
      "x-amz-date": time,
      "x-amz-content-sha256": sha256(body),
    } as Record<string, string>;
    const credentials = this.#credentials;
    headers["authorization"] = this.#signer.authorization(template.path, headers, credentials);
    return copyOf(template, headers, body);
  }
}

/** Another request of the SDK's class. */
function copyOf(
  request: SentRequest,
  headers: SentRequest["headers"],
  body: Uint8Array | undefined,
): SentRequest {
  return new (request.constructor as RequestClass)({ ...request, headers, body });
}

function encoded(protocol: WireProtocol, input: Input): Uint8Array {
  return protocol === "cbor"
    ? encodeCborRequest(input as unknown as Readonly<Record<string, string | number>>)
    : Buffer.from(JSON.stringify(input));
}

function timeOf(text: string): number {
  return Date.parse(text.replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:"));
}

function isSame(ours: SentRequest, sdks: SentRequest): boolean {
  const body = typeof sdks.body === "string" ? Buffer.from(sdks.body) : sdks.body;
  if (!(body instanceof Uint8Array) || Buffer.compare(body, ours.body as Uint8Array) !== 0) {
    return false;
  }
  return (
    JSON.stringify(Object.entries(ours.headers)) === JSON.stringify(Object.entries(sdks.headers))
  );
}
