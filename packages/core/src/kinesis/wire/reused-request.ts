import { SDK_CONTEXT, type Context, type HttpMessage, type Wrap } from "./sdk-stack.ts";

/**
 * What the SDK finds out for each request, though it is the same for one after another: the endpoint,
 * the request's head and the user agent. The first call of each second asks the SDK; others take over
 * what it said, where nothing differs that it depends on. For one client.
 * @param second changes each second
 */
export function reuseRequests(second: () => number): Readonly<Record<string, Wrap>> {
  return {
    endpointV2Middleware: reuseEndpoint(second),
    serializerMiddleware: reuseHead(second),
    getUserAgentMiddleware: reuseUserAgent(second),
  };
}

/** Something that was found out, and the second in which it was asked for last. */
export interface Known {
  second: number;
}

/** Is it to be asked again? One call does; meanwhile, others use what is known. */
export function isDue(known: Known, second: number): boolean {
  if (known.second === second) return false;
  known.second = second;
  return true;
}

const JSON_CONTENT_TYPE = "application/x-amz-json-1.1";
const USER_AGENT = "user-agent";
const AMZ_USER_AGENT = "x-amz-user-agent";

type Input = Readonly<Record<string, unknown>>;

/** The SDK's own context of a call, as far as it is used here. */
interface SdkContext {
  features?: Readonly<Record<string, string>> | undefined;
  readonly selectedHttpAuthScheme?: { readonly identity?: unknown };
}

/** What an endpoint depends on beside the client's configuration. */
interface Origin {
  readonly input: Input;
  readonly identity: unknown;
}

function reuseEndpoint(second: () => number): Wrap {
  let known: (Known & Origin & { endpoint: unknown; features: SdkContext["features"] }) | undefined;
  return (sdk) => (next, context) => {
    const ask = sdk((args) => {
      const { features, selectedHttpAuthScheme } = sdkContext(context);
      const { endpointV2: endpoint, authSchemes } = context;
      // Rules that choose how to sign change more than the endpoint.
      known =
        authSchemes === undefined && isPlain(args.input)
          ? {
              second: second(),
              input: args.input,
              identity: selectedHttpAuthScheme?.identity,
              endpoint,
              // The SDK adds others to it further on.
              features: features && { ...features },
            }
          : undefined;
      return next(args);
    }, context);
    return (args) => {
      const own = sdkContext(context);
      if (
        known === undefined ||
        isDue(known, second()) ||
        own.features !== undefined ||
        own.selectedHttpAuthScheme?.identity !== known.identity ||
        !isPlain(args.input) ||
        args.input["StreamARN"] !== known.input["StreamARN"] ||
        args.input["StreamId"] !== known.input["StreamId"]
      ) {
        return ask(args);
      }
      context["endpointV2"] = known.endpoint;
      if (known.features !== undefined) own.features = { ...known.features };
      return next(args);
    };
  };
}

function reuseHead(second: () => number): Wrap {
  let known: (Known & { readonly request: HttpMessage; readonly endpoint: unknown }) | undefined;
  return (sdk) => (next, context) => {
    const ask = sdk((args) => {
      const request = args.request as HttpMessage;
      known = isOnlyInput(request, args.input)
        ? { second: second(), request: copyOf(request), endpoint: context["endpointV2"] }
        : undefined;
      return next(args);
    }, context);
    return (args) => {
      if (
        known === undefined ||
        isDue(known, second()) ||
        known.endpoint !== context["endpointV2"] ||
        !isPlain(args.input)
      ) {
        return ask(args);
      }
      const request = copyOf(known.request);
      request.body = textLike(known.request.body, JSON.stringify(args.input));
      return next({ ...args, request });
    };
  };
}

function reuseUserAgent(second: () => number): Wrap {
  let known:
    | (Known & { readonly from: string; readonly identity: unknown; readonly headers: object })
    | undefined;
  return (sdk) => (next, context) => {
    let from: string | undefined;
    const ask = sdk((args) => {
      const { headers } = args.request as HttpMessage;
      const { [USER_AGENT]: userAgent, [AMZ_USER_AGENT]: amz } = headers;
      const { identity } = sdkContext(context).selectedHttpAuthScheme ?? {};
      if (from !== undefined && userAgent !== undefined && amz !== undefined) {
        const agents = { [AMZ_USER_AGENT]: amz, [USER_AGENT]: userAgent };
        known = { second: second(), from, identity, headers: agents };
      }
      return next(args);
    }, context);
    return (args) => {
      const { features, selectedHttpAuthScheme } = sdkContext(context);
      const { headers } = args.request as HttpMessage;
      from = madeFrom(context, features, headers);
      if (
        known === undefined ||
        isDue(known, second()) ||
        known.from !== from ||
        known.identity !== selectedHttpAuthScheme?.identity
      ) {
        return ask(args);
      }
      Object.assign(headers, known.headers);
      return next(args);
    };
  };
}

/** What of a call makes its user agent; undefined = more than is known here. */
function madeFrom(
  { userAgent, __aws_sdk_context: older }: Context,
  features: SdkContext["features"],
  headers: HttpMessage["headers"],
): string | undefined {
  const others = [userAgent, older, headers[USER_AGENT], headers[AMZ_USER_AGENT]];
  if (others.some((other) => other !== undefined)) return undefined;
  return features === undefined ? "" : JSON.stringify(features);
}

function sdkContext(context: Context): SdkContext {
  const own: SdkContext = (context[SDK_CONTEXT] ??= {});
  return own;
}

/** Members that an endpoint is chosen by, or that go into the request as they are. */
const MEMBERS = new Set(["ShardIterator", "Limit", "StreamARN", "StreamId"]);

/** Has a call's input what ours have, and nothing that middleware added? */
function isPlain(input: Input): boolean {
  for (const name in input) {
    const value = input[name];
    if (!MEMBERS.has(name) || (typeof value !== "string" && typeof value !== "number"))
      return false;
  }
  return true;
}

/** Is this request in JSON, and does nothing but its body depend on the input? */
function isOnlyInput({ headers, body }: HttpMessage, input: Input): boolean {
  const isJson = headers["content-type"] === JSON_CONTENT_TYPE;
  if (!isJson || !isPlain(input)) return false;
  if (typeof body !== "string" && !(body instanceof Uint8Array)) return false;
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const members = JSON.parse(text) as Input;
  const names = Object.keys(members);
  return (
    names.length === Object.keys(input).length &&
    names.every((name) => members[name] === input[name])
  );
}

type BytesClass = new (memory: ArrayBufferLike, offset: number, length: number) => Uint8Array;

/** The SDK writes JSON as text, or as bytes that middleware may treat as text. */
function textLike(body: unknown, text: string): string | Uint8Array {
  if (!(body instanceof Uint8Array)) return text;
  const bytes = Buffer.from(text);
  if (Buffer.isBuffer(body)) return bytes;
  const { buffer, byteOffset, byteLength } = bytes;
  return new (body.constructor as BytesClass)(buffer, byteOffset, byteLength);
}

type RequestClass = new (request: HttpMessage) => HttpMessage;

/** Another request of the SDK's class, whose headers are its own. */
function copyOf(request: HttpMessage & { query?: object }): HttpMessage {
  const { headers, query } = request;
  return new (request.constructor as RequestClass)({
    ...request,
    headers: { ...headers },
    ...(query === undefined ? {} : { query: { ...query } }),
  });
}
