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

/** Is a client's middleware what the SDK gives each client? Not if somebody has added or replaced some, or watches the stack. */
export function isSdksOwn(stack: ClientStack): boolean {
  const texts = sdksTexts();
  const isOwn = entriesOf(stack).every(
    ([middleware, name]) => texts.get(name) === String(middleware),
  );
  return isOwn && !isWatched(stack);
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
  texts ??= new Map(
    entriesOf(plainClient().middlewareStack).map(([one, name]) => [name, String(one)]),
  );
  return texts;
}

/** Is a client's logger the SDK's, which logs nothing? */
export function isSdksLogger(logger: object | undefined): boolean {
  return isLike(logger, plainClient().config.logger);
}

let standardRetries: Promise<object> | undefined;

/** Is it the SDK's own way to try again? Others may count attempts. */
export async function isStandardRetry(strategy: object): Promise<boolean> {
  standardRetries ??= plainClient().config.retryStrategy();
  return isLike(strategy, await standardRetries);
}

/** Is its class the same one? By its source: a minifier changes names, and each copy of the SDK has its own class. */
function isLike(one: object | undefined, other: object): boolean {
  const [its, others] = [one?.constructor, other.constructor];
  return its === others || String(its) === String(others);
}

let plain: KinesisClient | undefined;

/** A client as the SDK makes it, whatever the environment says. */
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

/** Instrumentation, as OpenTelemetry's, wraps the stack's own functions, and marks what it has wrapped. */
function isWatched(stack: ClientStack): boolean {
  return Object.values(stack).some((member) => Object.hasOwn(Object(member), "__wrapped"));
}
