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

/** The result of the request handler, and of the middleware next to it. */
export interface CallResult {
  readonly response: unknown;
  readonly output?: unknown;
}

/** The outcome of an attempt without a page: it returns the reply or throws the error, which the SDK then handles. */
export type AttemptOutcome = () => CallResult;

type Middleware = (next: never, context: never) => unknown;

interface Entry {
  readonly name?: string;
}

/** Whether a client has only the SDK's default middleware: none added, none replaced, no instrumentation. */
export function isSdkDefault(stack: ClientStack): boolean {
  const sources = defaultSources();
  const isDefault = entriesOf(stack).every(
    ([middleware, name]) => sources.get(name) === String(middleware),
  );
  return isDefault && !isInstrumented(stack);
}

/** Whether a command has no middleware of its own. The SDK adds its middleware when it sends the command. */
export function isEmptyStack(stack: GetRecordsCommand["middlewareStack"]): boolean {
  return entriesOf(stack).length === 0;
}

function entriesOf(stack: object): readonly (readonly [Middleware, string])[] {
  const entries: (readonly [Middleware, string])[] = [];
  const collect = (middleware: Middleware, { name = "" }: Entry): void => {
    entries.push([middleware, name]);
  };
  (stack as ClientStack).applyToStack({ add: collect, addRelativeTo: collect } as never);
  return entries;
}

let sources: ReadonlyMap<string, string> | undefined;

/** The source code of the SDK's default middleware, by name. The name alone proves nothing: it can be reused. */
function defaultSources(): ReadonlyMap<string, string> {
  sources ??= new Map(
    entriesOf(plainClient().middlewareStack).map(([one, name]) => [name, String(one)]),
  );
  return sources;
}

/** Whether a client's logger is the SDK's default, which logs nothing. */
export function isSdkDefaultLogger(logger: object | undefined): boolean {
  return hasSameClass(logger, plainClient().config.logger);
}

let standardRetries: Promise<object> | undefined;

/** Whether the retry strategy is the SDK's standard one. Others may count attempts. */
export async function isStandardRetry(strategy: object): Promise<boolean> {
  standardRetries ??= plainClient().config.retryStrategy();
  return hasSameClass(strategy, await standardRetries);
}

/**
 * Whether both objects have the same class. Classes are compared by source, because a minifier changes names, and
 * each copy of the SDK has its own class.
 */
function hasSameClass(one: object | undefined, other: object): boolean {
  const [a, b] = [one?.constructor, other.constructor];
  return a === b || String(a) === String(b);
}

let plain: KinesisClient | undefined;

/** A client with the SDK's defaults, independent of the environment. */
function plainClient(): KinesisClient {
  plain ??= new KinesisClient({
    region: "us-east-1",
    credentials: { accessKeyId: "", secretAccessKey: "" },
    requestHandler: new KinesisHttpHandler(),
    retryMode: "standard",
    maxAttempts: 1,
  });
  return plain;
}

/** Instrumentation such as OpenTelemetry's wraps the stack's functions, and marks them. */
function isInstrumented(stack: ClientStack): boolean {
  return Object.values(stack).some((member) => Object.hasOwn(Object(member), "__wrapped"));
}
