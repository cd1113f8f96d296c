import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { ConfigError } from "../../errors.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { checkDuration, checkWholeNumber } from "../../options/option-values.ts";
import { whenAborted, type Abortable } from "./abortable.ts";
import { Cancellation, ConnectionPool } from "./connection-pool.ts";
import type { ReplyStarted } from "./connection.ts";
import { ProxiedOrigin } from "./proxied-origin.ts";
import { hasPlainBody, pathOf, requestMessage, type HttpRequest } from "./request-message.ts";
import { abortError, asTimeout, timeoutError } from "./sdk-errors.ts";
import {
  isProxy,
  proxiedHandler,
  proxyOf,
  streamHandler,
  type SdkHandler,
} from "./sdk-handlers.ts";
import { startTimeout } from "./timeout.ts";

/** Options of a `KinesisHttpHandler`. */
export interface KinesisHttpHandlerOptions {
  /** The maximum number of connections to one endpoint, 1 to 10,000. More requests wait. @default 50 */
  readonly maxSockets?: number;
  /** How long opening a connection may take, with TLS, in milliseconds; 0 = no limit. @default 5000 */
  readonly connectionTimeout?: number;
  /** How long a request may take until its reply is complete, in milliseconds; 0 = no limit. @default 0 */
  readonly requestTimeout?: number;
  /** Options of `tls.connect`: `ca`, `cert`, `key`, `rejectUnauthorized` and others. @default none */
  readonly tls?: ConnectionOptions;
  /**
   * The URL of an HTTP proxy; false = no proxy. Requests through a proxy are sent by the SDK's own handler.
   * @default from HTTPS_PROXY, HTTP_PROXY and NO_PROXY
   */
  readonly proxy?: string | false;
}

const OPTIONS: Readonly<Record<keyof KinesisHttpHandlerOptions, true>> = {
  maxSockets: true,
  connectionTimeout: true,
  requestTimeout: true,
  tls: true,
  proxy: true,
};

/** The options that the SDK passes with a request. */
interface HandleOptions extends Abortable {
  readonly requestTimeout?: number | undefined;
}

type SdkOutput = Awaited<ReturnType<SdkHandler["handle"]>>;

/**
 * A property of requests: called when the reply begins, so that memory is reserved before a page is read.
 * If a middleware copies the request, the property is lost, and no memory is reserved before the read.
 */
export const REPLY_STARTED: unique symbol = Symbol.for("@kc/replyStarted");

type WatchedRequest = HttpRequest & { readonly [REPLY_STARTED]?: ReplyStarted };

/**
 * A request handler for the SDK's `KinesisClient`. It keeps connections alive, resumes TLS sessions, and
 * reads each reply from the socket into one contiguous buffer, without a stream.
 */
export class KinesisHttpHandler {
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #maxSockets: number;
  readonly #connectionTimeout: number;
  readonly #tls: ConnectionOptions;
  readonly #proxy: string | false | undefined;
  #requestTimeout: number;
  /** By scheme, host and port. */
  readonly #origins = new Map<string, ConnectionPool | ProxiedOrigin>();
  #streams: SdkHandler | undefined;

  /** @throws ConfigError if an option is invalid. It names the option */
  constructor(options: KinesisHttpHandlerOptions = {}) {
    checkOptionNames("KinesisHttpHandler", options, Object.keys(OPTIONS));
    const { maxSockets = 50, connectionTimeout = 5000, requestTimeout = 0, tls = {} } = options;
    this.#maxSockets = checkWholeNumber("maxSockets", maxSockets, { min: 1, max: 10_000 });
    this.#connectionTimeout = checkDuration("connectionTimeout", connectionTimeout);
    this.#requestTimeout = checkDuration("requestTimeout", requestTimeout);
    this.#tls = tls;
    this.#proxy = checkProxy(options.proxy);
  }

  /** Sends a request. The reply's body is complete, as bytes; the body of an event stream is a stream. */
  async handle(request: HttpRequest, options: HandleOptions = {}): Promise<SdkOutput> {
    const requestTimeout = options.requestTimeout ?? this.#requestTimeout;
    const origin = this.#originOf(request);
    if (origin instanceof ProxiedOrigin) {
      return this.#cancellable(options, requestTimeout, (cancellation) =>
        origin.request(request as never, { ...options, requestTimeout } as never, cancellation),
      );
    }
    if (!hasPlainBody(request) || needsStream(request)) {
      this.#streams ??= streamHandler(this.#sdkOptions());
      return this.#streams.handle(request as never, { ...options, requestTimeout } as never);
    }
    const { method, [REPLY_STARTED]: started } = request as WatchedRequest;
    const message = requestMessage(request, pathOf(request));
    const response = await this.#cancellable(options, requestTimeout, (cancellation) =>
      origin.request({ message, method, started }, cancellation),
    );
    return { response };
  }

  /** Called by the SDK's configuration. Other keys than `requestTimeout` are ignored. */
  updateHttpClientConfig(key: string, value: unknown): void {
    if (key === "requestTimeout") this.#requestTimeout = checkDuration(key, value);
  }

  httpHandlerConfigs(): { readonly requestTimeout: number; readonly connectionTimeout: number } {
    return { requestTimeout: this.#requestTimeout, connectionTimeout: this.#connectionTimeout };
  }

  /** Closes all connections. Idempotent. A later request opens new ones. */
  destroy(): void {
    for (const origin of this.#origins.values()) origin.destroy();
    this.#origins.clear();
    this.#streams?.destroy();
    this.#streams = undefined;
  }

  /** Sends a request, and cancels it when its signal aborts or its timeout ends. */
  async #cancellable<T>(
    options: HandleOptions,
    requestTimeout: number,
    send: (cancellation: Cancellation) => Promise<T>,
  ): Promise<T> {
    const cancellation = new Cancellation();
    const stopListening = whenAborted(options, (reason) => cancellation.cancel(abortError(reason)));
    if (cancellation.reason !== undefined) throw cancellation.reason;
    const cancelTimeout =
      requestTimeout > 0
        ? startTimeout(requestTimeout, () => cancellation.cancel(incompleteReply(requestTimeout)))
        : undefined;
    try {
      return await send(cancellation);
    } catch (error) {
      throw asTimeout(error);
    } finally {
      cancelTimeout?.();
      stopListening?.();
    }
  }

  #originOf({ protocol, hostname, port }: HttpRequest): ConnectionPool | ProxiedOrigin {
    const key = `${protocol}//${hostname}:${port ?? ""}`;
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      const proxy = proxyOf(port === undefined ? `${protocol}//${hostname}` : key, this.#proxy);
      origin =
        proxy === undefined
          ? this.#pool(protocol === "https:", hostname, port)
          : new ProxiedOrigin(proxiedHandler(proxy, this.#sdkOptions()), this.#maxSockets);
      this.#origins.set(key, origin);
    }
    return origin;
  }

  #pool(isTls: boolean, host: string, port: number | undefined): ConnectionPool {
    const hostname = host.startsWith("[") ? host.slice(1, -1) : host;
    const names = isIP(hostname) === 0 ? { servername: hostname } : {};
    return new ConnectionPool({
      target: {
        hostname,
        port: port ?? (isTls ? 443 : 80),
        tls: isTls ? { ALPNProtocols: ["http/1.1"], ...names, ...this.#tls } : undefined,
      },
      maxSockets: this.#maxSockets,
      connectionTimeout: this.#connectionTimeout,
    });
  }

  #sdkOptions(): Parameters<typeof streamHandler>[0] {
    return {
      maxSockets: this.#maxSockets,
      connectionTimeout: this.#connectionTimeout,
      tls: this.#tls,
    };
  }
}

/** Whether the request needs streams: its reply is an event stream, or it is sent in chunks or after a 100 reply. */
function needsStream({ headers }: HttpRequest): boolean {
  return (
    headers["x-amz-target"]?.endsWith(".SubscribeToShard") === true ||
    Object.keys(headers).some((name) => /^(?:expect|transfer-encoding)$/i.test(name))
  );
}

function checkProxy(proxy: unknown): string | false | undefined {
  if (proxy === undefined || proxy === false) return proxy;
  if (isProxy(proxy)) return proxy;
  // The URL may contain a password, so the message does not show it.
  throw new ConfigError("proxy", "must be a URL with http:// or https://, or false");
}

function incompleteReply(requestTimeout: number): Error {
  return timeoutError(`the reply was not complete after ${requestTimeout} ms`);
}
