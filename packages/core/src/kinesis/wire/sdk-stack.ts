import { KinesisClient, type GetRecordsCommand } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler } from "../transport/http-handler.ts";

export type ClientStack = Parameters<GetRecordsCommand["resolveMiddleware"]>[0];

/** The parts of the SDK's HTTP messages that are used here. */
export interface HttpMessage {
  statusCode?: number;
  headers: Record<string, string>;
  body?: unknown;
}

/** The SDK's request, as it is sent. */
export interface SentRequest extends HttpMessage {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
}

/** What the request handler, and each middleware next to it, resolves with. */
export interface CallResult {
  readonly response: unknown;
  readonly output?: unknown;
}

/** The outcome of an attempt that brought no page: returns the reply, or throws the error. The SDK is the judge of it. */
export type OtherAttempt = () => CallResult;

type Middleware = (next: never, context: never) => unknown;

interface Entry {
  readonly name?: string;
}

/**
 * A client's middleware, if all of it is what the SDK gives each client; undefined = somebody has added or
 * replaced some, or watches the stack itself.
 */
export function sdksOwn(stack: ClientStack): readonly Middleware[] | undefined {
  const texts = sdksTexts();
  const entries = entriesOf(stack);
  const isOwn = entries.every(([middleware, name]) => texts.get(name) === String(middleware));
  return isOwn && !isWatched(stack) ? entries.map(([middleware]) => middleware) : undefined;
}

/** Does a command have middleware of its own? The SDK adds its part when the command is sent. */
export function hasNone(stack: GetRecordsCommand["middlewareStack"]): boolean {
  return entriesOf(stack).length === 0;
}

function entriesOf(stack: object): readonly (readonly [Middleware, string])[] {
  const entries: (readonly [Middleware, string])[] = [];
  const look = (middleware: Middleware, { name = "" }: Entry): void => {
    entries.push([middleware, name]);
  };
  (stack as ClientStack).applyToStack({ add: look, addRelativeTo: look } as never);
  return entries;
}

let texts: ReadonlyMap<string, string> | undefined;

/** The source of the SDK's middleware, by name. A name alone proves nothing: it can be given again. */
function sdksTexts(): ReadonlyMap<string, string> {
  if (texts === undefined) {
    const { middlewareStack } = new KinesisClient({
      region: "us-east-1",
      credentials: { accessKeyId: "", secretAccessKey: "" },
      requestHandler: new KinesisHttpHandler(),
    });
    texts = new Map(entriesOf(middlewareStack).map(([one, name]) => [name, String(one)]));
  }
  return texts;
}

/** Instrumentation, as OpenTelemetry's, wraps the stack's own functions, and marks what it has wrapped. */
function isWatched(stack: ClientStack): boolean {
  return Object.values(stack).some((member) => Object.hasOwn(Object(member), "__wrapped"));
}
