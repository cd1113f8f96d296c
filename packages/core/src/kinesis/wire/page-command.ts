import { GetRecordsCommand, type GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import type { CallOptions, Configuration } from "./first-attempt.ts";
import { KnownClient } from "./known-client.ts";
import { overrideCodec, type WireProtocol, type WireReply } from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import { isEmptyStack, type AttemptOutcome, type ClientStack } from "./sdk-stack.ts";

type Handler = ReturnType<GetRecordsCommand["resolveMiddleware"]>;

/** Creates the commands of one protocol, and keeps the `KnownClient` of the client that sends them. */
export class PageCommands {
  readonly protocol: WireProtocol;
  #client: KnownClient | undefined;

  constructor(protocol: WireProtocol) {
    this.protocol = protocol;
  }

  create(input: GetRecordsCommandInput, watch: ReplyWatch): PageCommand {
    return new PageCommand(input, watch, this);
  }

  client(stack: ClientStack, configuration: Configuration): KnownClient {
    if (this.#client?.isOf(stack, configuration) !== true) {
      this.#client = new KnownClient(this.protocol, stack, configuration);
    }
    return this.#client;
  }
}

/** GetRecords whose reply this library decodes. For clients and their middleware, it is the SDK's command. */
export class PageCommand extends GetRecordsCommand {
  readonly #watch: ReplyWatch;
  readonly #commands: PageCommands;
  #reply: WireReply | undefined;

  constructor(input: GetRecordsCommandInput, watch: ReplyWatch, commands: PageCommands) {
    super(input);
    this.#watch = watch;
    this.#commands = commands;
  }

  /** The last reply; `undefined` if it is in the SDK's output instead. */
  get reply(): WireReply | undefined {
    return this.#reply;
  }

  override resolveMiddleware(
    stack: ClientStack,
    configuration: Configuration,
    options?: CallOptions,
  ): Handler {
    return async (args) => {
      // A client may cache the handler of its first command, and call it with other commands.
      const command: unknown = args;
      if (command !== this && command instanceof PageCommand) {
        return command.resolveMiddleware(stack, configuration, options)(args);
      }
      const client = this.#commands.client(stack, configuration);
      const first = isEmptyStack(this.middlewareStack)
        ? await client.attempt(this.input, options, this.#watch)
        : undefined;
      if (typeof first !== "object") return this.#sendBySdk(client, first, options)(args);
      this.#reply = first.reply;
      return first.result as Awaited<ReturnType<Handler>>;
    };
  }

  /** @param first the outcome of the first attempt; `undefined` if the SDK makes that too */
  #sendBySdk(
    client: KnownClient,
    first: AttemptOutcome | undefined,
    options: CallOptions,
  ): Handler {
    let reply: WireReply | undefined;
    overrideCodec(this, this.#commands.protocol, {
      first,
      onRequest: (request, credentials) => client.learn(request, this.input, credentials),
      onBytes: this.#watch,
      onReply: (decoded) => (reply = decoded),
    });
    const send = super.resolveMiddleware(client.stack, client.configuration, options);
    return async (args) => {
      const result = await send(args);
      this.#reply = reply;
      return result;
    };
  }
}

// Fake clients identify commands by the names of their classes.
Object.defineProperty(PageCommand, "name", { value: GetRecordsCommand.name });
