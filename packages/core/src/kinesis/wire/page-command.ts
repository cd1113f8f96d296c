import { GetRecordsCommand, type GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import {
  decodeOurselves,
  type ReplyEvents,
  type WireProtocol,
  type WireReply,
} from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import { reuseRequests } from "./reused-request.ts";
import { reuseSigner } from "./reused-signer.ts";
import {
  SDK_CONTEXT,
  sdksOwn,
  wrapped,
  type ClientStack,
  type Context,
  type Middleware,
} from "./sdk-stack.ts";
import { skipTaken } from "./unread-reply.ts";

type Resolve = GetRecordsCommand["resolveMiddleware"];
type Configuration = Parameters<Resolve>[1];
type CallOptions = Parameters<Resolve>[2];
type Handler = ReturnType<Resolve>;
type CommandStack = GetRecordsCommand["middlewareStack"];

/** What changes of a client, its middleware, its handler or its endpoint, takes effect after so long at the latest. */
const USED_FOR_MS = 1000;

/** The SDK's middleware of GetRecords, for reuse: it is most of a poll's CPU. */
export class PageCommands {
  readonly #protocol: WireProtocol;
  #known: KnownClient | undefined;

  constructor(protocol: WireProtocol) {
    this.#protocol = protocol;
  }

  create(input: GetRecordsCommandInput, watch: ReplyWatch): PageCommand {
    return new PageCommand(input, watch, this);
  }

  /** @param own the middleware of the command itself */
  take(stack: ClientStack, configuration: Configuration, own: CommandStack): Resolved {
    let known = this.#known;
    if (known?.isOf(stack, configuration) !== true) {
      this.#known = known = new KnownClient(stack, configuration);
    }
    return known.free.pop() ?? new Resolved(known, this.#protocol, configuration, own);
  }
}

/**
 * What is known of a client, for a second. The SDK's own middleware is the same each time it is put
 * together, so it stays for as long as nobody adds any, and the client keeps its request handler and its
 * logger; what it works out is asked again.
 */
class KnownClient {
  readonly #stack: ClientStack;
  readonly #configuration: Configuration;
  readonly #sdksOwn: readonly Middleware[] | undefined;
  /** The SDK takes these when it puts middleware together. */
  readonly #requestHandler: unknown;
  readonly #logger: unknown;
  #until = performance.now() + USED_FOR_MS;
  #second = 0;
  /** Middleware that no call is in. */
  readonly free: Resolved[] = [];
  readonly #reuse = {
    ...reuseRequests(() => this.#second),
    httpSigningMiddleware: reuseSigner(() => this.#second),
  };

  constructor(stack: ClientStack, configuration: Configuration) {
    this.#stack = stack;
    this.#configuration = configuration;
    this.#sdksOwn = sdksOwn(stack);
    this.#requestHandler = configuration.requestHandler;
    this.#logger = configuration.logger;
  }

  isOf(stack: ClientStack, configuration: Configuration): boolean {
    if (stack !== this.#stack || configuration !== this.#configuration) return false;
    const now = performance.now();
    if (now < this.#until) return true;
    if (!this.#isSdksStill()) return false;
    this.#until = now + USED_FOR_MS;
    this.#second += 1;
    return true;
  }

  #isSdksStill(): boolean {
    const { requestHandler, logger } = this.#configuration;
    if (requestHandler !== this.#requestHandler || logger !== this.#logger) return false;
    const before = this.#sdksOwn;
    const now = sdksOwn(this.#stack);
    if (before === undefined || now?.length !== before.length) return false;
    return now.every((one, at) => one === before[at]);
  }

  /** The client's stack, for commands whose reply may be taken from the SDK. */
  stackFor(isTaken: () => boolean): ClientStack {
    return wrapped(this.#stack, {
      ...this.#reuse,
      deserializerMiddleware: skipTaken(isTaken),
    });
  }
}

/** GetRecords, read by us: to clients and their middleware it is the SDK's own command. */
export class PageCommand extends GetRecordsCommand {
  readonly #watch: ReplyWatch;
  readonly #commands: PageCommands;
  #reply: WireReply | undefined;

  constructor(input: GetRecordsCommandInput, watch: ReplyWatch, commands: PageCommands) {
    super(input);
    this.#watch = watch;
    this.#commands = commands;
  }

  /** What the last reply brought; undefined = the SDK's own output has it. */
  get reply(): WireReply | undefined {
    return this.#reply;
  }

  override resolveMiddleware(
    stack: ClientStack,
    configuration: Configuration,
    options?: CallOptions,
  ): Handler {
    return async (args) => {
      const resolved = this.#commands.take(stack, configuration, this.middlewareStack);
      const result = await resolved.call(args, this, this.#watch, options);
      this.#reply = resolved.reply;
      // A call that fails may go on inside: middleware with a time limit leaves it where it is.
      resolved.giveBack();
      return result;
    };
  }
}

// Fakes know commands by the names of their classes.
Object.defineProperty(PageCommand, "name", { value: GetRecordsCommand.name });

/** One call, and what its last reply brought. */
class Call implements ReplyEvents {
  reply: WireReply | undefined;
  readonly onBytes: ReplyWatch;

  constructor(onBytes: ReplyWatch) {
    this.onBytes = onBytes;
  }

  readonly onReply = (reply: WireReply | undefined): void => {
    this.reply = reply;
  };
}

const NO_CALL: Call = { reply: undefined, onBytes: () => {}, onReply: () => {} };

/** The middleware of one client, put together, for one call at a time. Between two calls it keeps nothing of them. */
class Resolved {
  readonly #client: KnownClient;
  /** The SDK passes this object to the request handler with each call. */
  readonly #options: NonNullable<CallOptions> = {};
  readonly #handler: Handler;
  /** Of the call under way; the SDK keeps the object. */
  #context: Context = {};
  /** What the context had before the first call. */
  readonly #first: Context;
  #call = NO_CALL;

  constructor(
    client: KnownClient,
    protocol: WireProtocol,
    configuration: Configuration,
    own: CommandStack,
  ) {
    this.#client = client;
    // The SDK keeps the command that is resolved. One that was sent would keep its page.
    const command = new GetRecordsCommand({ ShardIterator: undefined });
    command.middlewareStack.use(own);
    this.#bringOurs(command, protocol);
    const stack = client.stackFor(() => this.reply !== undefined);
    this.#handler = command.resolveMiddleware(stack, configuration, this.#options);
    this.#first = { ...this.#context };
  }

  /** What the last reply brought. */
  get reply(): WireReply | undefined {
    return this.#call.reply;
  }

  /** No call is in it any more. */
  giveBack(): void {
    replace(this.#context, this.#first);
    replace(this.#options, {});
    this.#call = NO_CALL;
    this.#client.free.push(this);
  }

  #bringOurs(command: GetRecordsCommand, protocol: WireProtocol): void {
    decodeOurselves(command, protocol, () => this.#call);
    command.middlewareStack.add(
      (next, context) => {
        this.#context = context as unknown as Context;
        logNothing(this.#context);
        return next;
      },
      { step: "initialize", name: "kcContext", override: true },
    );
  }

  call(
    args: Parameters<Handler>[0],
    command: GetRecordsCommand,
    watch: ReplyWatch,
    options: CallOptions = {},
  ): ReturnType<Handler> {
    this.#call = new Call(watch);
    Object.assign(this.#options, options);
    const { abortSignal } = options;
    Object.assign(this.#context, {
      [SDK_CONTEXT]: {
        ...(this.#first[SDK_CONTEXT] as object | undefined),
        commandInstance: command,
        ...(abortSignal === undefined ? {} : { abortSignal }),
      },
    });
    return this.#handler(args);
  }
}

/** The SDK prepares what it logs even if nothing is logged. */
function logNothing(context: Context): void {
  if (context["logger"]?.constructor.name !== "NoOpLogger") return;
  context["inputFilterSensitiveLog"] = context["outputFilterSensitiveLog"] = asItIs;
}

const asItIs = (value: unknown): unknown => value;

/** Gives an object these members and no others. */
function replace(object: object, members: object): void {
  for (const name of Reflect.ownKeys(object)) {
    if (!(name in members)) Reflect.deleteProperty(object, name);
  }
  Object.assign(object, members);
}
