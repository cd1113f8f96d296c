import type { GetRecordsCommandInput } from "@aws-sdk/client-kinesis";
import {
  attemptPage,
  type CallOptions,
  type Configuration,
  type PageAttempt,
} from "./first-attempt.ts";
import type { WireProtocol } from "./middleware.ts";
import type { ReplyWatch } from "./records-reply.ts";
import { RequestTemplate } from "./request-template.ts";
import {
  isSdksLogger,
  isSdksOwn,
  type ClientStack,
  type OtherAttempt,
  type SentRequest,
} from "./sdk-stack.ts";
import type { Credentials } from "./signature.ts";

/** What changes of a client, its middleware, its logger or its endpoint, takes effect after so long at the latest. */
const USED_FOR_MS = 1000;

/**
 * What is known of a client. Where its middleware is the SDK's alone, the SDK makes one request a second, and the
 * others are made like it. Whatever does not bring a page is left to the SDK.
 */
export class KnownClient {
  readonly #protocol: WireProtocol;
  readonly stack: ClientStack;
  readonly configuration: Configuration;
  #until = -Infinity;
  /** Are the client's middleware and logger the SDK's? */
  #isSdks = false;
  #template: RequestTemplate | undefined;

  constructor(protocol: WireProtocol, stack: ClientStack, configuration: Configuration) {
    this.#protocol = protocol;
    this.stack = stack;
    this.configuration = configuration;
  }

  isOf(stack: ClientStack, configuration: Configuration): boolean {
    return stack === this.stack && configuration === this.configuration;
  }

  /** As `attemptPage`. */
  async attempt(
    input: GetRecordsCommandInput,
    options: CallOptions,
    watch: ReplyWatch,
  ): Promise<PageAttempt | OtherAttempt | undefined> {
    const now = performance.now();
    if (now >= this.#until) {
      this.#until = now + USED_FOR_MS;
      this.#look();
      // This call asks the SDK; meanwhile, others use what is known.
      return undefined;
    }
    if (this.#template === undefined) return undefined;
    return attemptPage(this.#template, input, this.configuration, options, watch);
  }

  #look(): void {
    const { logger } = this.configuration;
    this.#isSdks = isSdksOwn(this.stack) && isSdksLogger(logger);
    if (!this.#isSdks) this.#template = undefined;
  }

  /** @param request what the SDK sends for this input, by these credentials */
  learn(request: SentRequest, input: GetRecordsCommandInput, credentials: unknown): void {
    if (!this.#isSdks) return;
    this.#template = RequestTemplate.of(
      this.#protocol,
      request,
      input,
      credentials as Credentials,
      this.configuration.systemClockOffset,
    );
  }
}
