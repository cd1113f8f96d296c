import { GetRecordsCommand } from "@aws-sdk/client-kinesis";

export type ClientStack = Parameters<GetRecordsCommand["resolveMiddleware"]>[0];

/** What the SDK and a user's middleware keep about a call. */
export type Context = Record<PropertyKey, unknown>;

/** The SDK's own part of it. */
export const SDK_CONTEXT = "__smithy_context";

/** The parts of the SDK's HTTP messages that are used here. */
export interface HttpMessage {
  statusCode?: number;
  headers: Record<string, string>;
  body?: unknown;
}

interface CallArgs {
  readonly input: Readonly<Record<string, unknown>>;
  readonly request?: unknown;
}

export interface CallResult {
  readonly response: unknown;
  readonly output?: unknown;
}

type Next = (args: CallArgs) => Promise<CallResult>;

export type Middleware = (next: Next, context: Context) => Next;

/** Makes other middleware of the SDK's. */
export type Wrap = (sdk: Middleware) => Middleware;

interface Entry {
  readonly name?: string;
}

/** What the SDK adds to each client for Kinesis. */
const SDK_NAMES = new Set([
  "contentLengthMiddleware",
  "deserializerMiddleware",
  "getUserAgentMiddleware",
  "hostHeaderMiddleware",
  "httpAuthSchemeMiddleware",
  "httpSigningMiddleware",
  "loggerMiddleware",
  "recursionDetectionMiddleware",
  "retryMiddleware",
  "serializerMiddleware",
]);

/** A client's middleware, if the SDK's own is all that it has; undefined = a user has added some. */
export function sdksOwn(stack: ClientStack): readonly Middleware[] | undefined {
  const own: Middleware[] = [];
  let others = 0;
  const look = (middleware: Middleware, { name = "" }: Entry): void => {
    if (SDK_NAMES.has(name)) own.push(middleware);
    else others += 1;
  };
  stack.applyToStack({ add: look, addRelativeTo: look } as never);
  return others === 0 ? own : undefined;
}

/** A client's stack as it is, with a command's: only what has one of these names is wrapped, in its place. */
export function wrapped(stack: ClientStack, wraps: Readonly<Record<string, Wrap>>): ClientStack {
  const concat = (command: ClientStack): ClientStack => {
    const whole = stack.concat(command);
    const { middlewareStack: fresh } = new GetRecordsCommand({ ShardIterator: undefined });
    const wrap = (sdk: Middleware, { name = "", ...entry }: Entry): [never, never] => {
      const middleware = Object.hasOwn(wraps, name) ? wraps[name]!(sdk) : sdk;
      // The entry names the middleware too, and counts for more.
      return [middleware as never, { ...entry, name, middleware } as never];
    };
    whole.applyToStack({
      add: (sdk: Middleware, entry: Entry) => fresh.add(...wrap(sdk, entry)),
      addRelativeTo: (sdk: Middleware, entry: Entry) => fresh.addRelativeTo(...wrap(sdk, entry)),
    } as never);
    fresh.identifyOnResolve(whole.identifyOnResolve());
    return fresh as never;
  };
  return Object.create(stack, { concat: { value: concat } }) as ClientStack;
}
