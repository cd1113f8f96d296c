import { GetRecordsCommand, type GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import type { CallOptions, Configuration } from "./first-attempt.ts";
import { KnownClient } from "./known-client.ts";
import { decodeOurselves, type WireProtocol, type WireReply } from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import { hasNone, type ClientStack, type OtherAttempt } from "./sdk-stack.ts";

type Handler = ReturnType<GetRecordsCommand["resolveMiddleware"]>;

/** Makes the commands of one protocol, and keeps what is known of the client that they are sent with. */
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
      // A client may keep the handler of its first command, and call it with others.
      const command: unknown = args;
      if (command !== this && command instanceof PageCommand) {
        return command.resolveMiddleware(stack, configuration, options)(args);
      }
      const client = this.#commands.client(stack, configuration);
      const first = hasNone(this.middlewareStack)
        ? await client.attempt(this.input, options, this.#watch)
        : undefined;
      if (typeof first !== "object") return this.#sendBySdk(client, first, options)(args);
      this.#reply = first.reply;
      return first.result as Awaited<ReturnType<Handler>>;
    };
  }

  /** @param first the outcome of the first attempt; undefined = the SDK makes it too */
  #sendBySdk(client: KnownClient, first: OtherAttempt | undefined, options: CallOptions): Handler {
    let reply: WireReply | undefined;
    decodeOurselves(this, this.#commands.protocol, {
      first,
      onRequest: (request, credentials) => client.learn(request, this.input, credentials),
      onBytes: this.#watch,
      onReply: (came) => (reply = came),
    });
    const send = super.resolveMiddleware(client.stack, client.configuration, options);
    return async (args) => {
      const result = await send(args);
      this.#reply = reply;
      return result;
    };
  }
}

// Fakes know commands by the names of their classes.
Object.defineProperty(PageCommand, "name", { value: GetRecordsCommand.name });
