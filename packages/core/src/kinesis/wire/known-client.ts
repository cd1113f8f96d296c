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
  isSdkDefault,
  isSdkDefaultLogger,
  type ClientStack,
  type AttemptOutcome,
  type SentRequest,
} from "./sdk-stack.ts";
import type { Credentials } from "./signature.ts";

/** Changes to a client's middleware, logger or endpoint take effect after at most this time. */
const REFRESH_MS = 1000;

/**
 * Sends GetRecords requests for one client without its middleware, if that is only the SDK's default. The SDK sends one
 * request per second; the others are created from it as a template. Attempts without a page are left to the SDK.
 */
export class KnownClient {
  readonly #protocol: WireProtocol;
  readonly stack: ClientStack;
  readonly configuration: Configuration;
  #until = -Infinity;
  /** Whether the client's middleware and logger are the SDK's defaults. */
  #isDefault = false;
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
  ): Promise<PageAttempt | AttemptOutcome | undefined> {
    const now = performance.now();
    if (now >= this.#until) {
      this.#until = now + REFRESH_MS;
      this.#inspect();
      // The SDK sends this request. Meanwhile, others use the existing template.
      return undefined;
    }
    if (this.#template === undefined) return undefined;
    return attemptPage(this.#template, input, this.configuration, options, watch);
  }

  #inspect(): void {
    const { logger } = this.configuration;
    this.#isDefault = isSdkDefault(this.stack) && isSdkDefaultLogger(logger);
    if (!this.#isDefault) this.#template = undefined;
  }

  /** Sets the template. @param request what the SDK sends for this input, with these credentials */
  learn(request: SentRequest, input: GetRecordsCommandInput, credentials: unknown): void {
    if (!this.#isDefault) return;
    this.#template = RequestTemplate.of(
      this.#protocol,
      request,
      input,
      credentials as Credentials,
      this.configuration.systemClockOffset,
    );
  }
}
