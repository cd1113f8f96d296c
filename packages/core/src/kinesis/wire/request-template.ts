import { randomUUID } from "node:crypto";
import type { GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import { encodeCborRequest } from "./cbor-request.ts";
import type { WireProtocol } from "./middleware.ts";
import type { SentRequest } from "./sdk-stack.ts";
import { RequestSigner, sha256, type Credentials } from "./signature.ts";

/** The headers that are either the same in every request or computed for each request here. */
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

/**
 * The maximum difference between a request's time and the expected time, in milliseconds: signing takes time, and
 * the request's time has no fraction.
 */
const TIME_TOLERANCE_MS = 5000;

type RequestClass = new (parts: object) => SentRequest;
type Input = GetRecordsCommandInput;

/**
 * A GetRecords request of the SDK, used as a template for the next ones: they have the same endpoint and headers,
 * but their own body, date and signature. Valid only for the credentials and the stream of that request.
 */
export class RequestTemplate {
  readonly #protocol: WireProtocol;
  readonly #request: SentRequest;
  readonly #input: Input;
  readonly #credentials: Credentials;
  readonly #signer: RequestSigner;
  /** The time of the last request, in seconds since the epoch, and as text. */
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
    // A copy, without the properties and the body of this one call.
    this.#request = copyOf(request, { ...request.headers }, undefined);
    this.#input = input;
    // Copied, because the caller may change the object.
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    this.#credentials = { accessKeyId, secretAccessKey, sessionToken };
    this.#signer = signer;
  }

  /**
   * Returns `undefined` if the request has unknown parts, or another signature than this class computes for it.
   * @param clockOffset what the client adds to this machine's time, in milliseconds
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
    if (!(Math.abs(late) < TIME_TOLERANCE_MS)) return undefined;
    const template = new RequestTemplate(protocol, request, input, credentials, signer);
    const copy = template.#create(input, headers["amz-sdk-invocation-id"]!, time);
    return isSame(copy, request) ? template : undefined;
  }

  /** Whether the template is valid for this input and these credentials. */
  isFor({ StreamARN }: Input, credentials: Credentials | undefined): boolean {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#credentials;
    return (
      // A provider may return a new object each time.
      credentials?.accessKeyId === accessKeyId &&
      credentials.secretAccessKey === secretAccessKey &&
      credentials.sessionToken === sessionToken &&
      StreamARN === this.#input.StreamARN
    );
  }

  /** Creates a request. @param clockOffset as for `of` */
  request(input: Input, clockOffset: number): SentRequest {
    return this.#create(input, randomUUID(), this.#timeText(Date.now() + clockOffset));
  }

  /** Formats a time as `20261128T235959Z`. Cached, because many requests are sent per second. */
  #timeText(millis: number): string {
    const second = Math.floor(millis / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const time = new Date(second * 1000).toISOString();
      this.#secondText = `${time.slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    }
    return this.#secondText;
  }

  #create(input: Input, id: string, time: string): SentRequest {
    const template = this.#request;
    const body = encoded(this.#protocol, input);
    const headers = {
      // First, to keep the order of the headers.
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

/** Creates another instance of the SDK's request class. */
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
