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
import { limitTime } from "./time-limit.ts";

/** Options of a `KinesisHttpHandler`. */
export interface KinesisHttpHandlerOptions {
  /** The most connections to one endpoint, 1 to 10,000; further requests wait. @default 50 */
  readonly maxSockets?: number;
  /** How long a connection may take to open, TLS included, in milliseconds; 0 = no limit. @default 5000 */
  readonly connectionTimeout?: number;
  /** How long a request and its whole reply may take, in milliseconds; 0 = no limit. @default 0 */
  readonly requestTimeout?: number;
  /** Options of `tls.connect`: `ca`, `cert`, `key`, `rejectUnauthorized` and others. @default none */
  readonly tls?: ConnectionOptions;
  /**
   * The URL of an HTTP proxy; false = none. Requests through a proxy are sent by the SDK's own handler.
   * @default as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say
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

/** What the SDK passes beside a request. */
interface HandleOptions extends Abortable {
  readonly requestTimeout?: number | undefined;
}

type SdkOutput = Awaited<ReturnType<SdkHandler["handle"]>>;

/**
 * On a request: called when its reply begins, so that memory is asked for before a page is read. A
 * request that middleware has copied has lost it: nothing is asked then.
 */
export const REPLY_STARTED: unique symbol = Symbol.for("@kc/replyStarted");

type WatchedRequest = HttpRequest & { readonly [REPLY_STARTED]?: ReplyStarted };

/**
 * A request handler for the SDK's `KinesisClient`. It keeps connections alive, resumes TLS sessions,
 * and reads each reply into one piece of memory without a stream in between.
 */
export class KinesisHttpHandler {
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #maxSockets: number;
  readonly #connectionTimeout: number;
  readonly #tls: ConnectionOptions;
  readonly #proxy: string | false | undefined;
  #requestTimeout: number;
  /** By scheme, host and port: what sends requests there. */
  readonly #origins = new Map<string, ConnectionPool | ProxiedOrigin>();
  #streams: SdkHandler | undefined;

  /** @throws ConfigError that names the option */
  constructor(options: KinesisHttpHandlerOptions = {}) {
    checkOptionNames("KinesisHttpHandler", options, Object.keys(OPTIONS));
    const { maxSockets = 50, connectionTimeout = 5000, requestTimeout = 0, tls = {} } = options;
    this.#maxSockets = checkWholeNumber("maxSockets", maxSockets, { least: 1, most: 10_000 });
    this.#connectionTimeout = checkDuration("connectionTimeout", connectionTimeout);
    this.#requestTimeout = checkDuration("requestTimeout", requestTimeout);
    this.#tls = tls;
    this.#proxy = checkProxy(options.proxy);
  }

  /** Bodies are complete, as bytes; those of streams are streams. */
  async handle(request: HttpRequest, options: HandleOptions = {}): Promise<SdkOutput> {
    const requestTimeout = options.requestTimeout ?? this.#requestTimeout;
    const origin = this.#originOf(request);
    if (origin instanceof ProxiedOrigin) {
      return this.#cancellable(options, requestTimeout, (cancellation) =>
        origin.request(request as never, { ...options, requestTimeout } as never, cancellation),
      );
    }
    if (!hasPlainBody(request) || wantsStream(request)) {
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

  /** Called by the SDK's configuration; what is not known here has no meaning here. */
  updateHttpClientConfig(key: string, value: unknown): void {
    if (key === "requestTimeout") this.#requestTimeout = checkDuration(key, value);
  }

  httpHandlerConfigs(): { readonly requestTimeout: number; readonly connectionTimeout: number } {
    return { requestTimeout: this.#requestTimeout, connectionTimeout: this.#connectionTimeout };
  }

  /** Closes all connections. Idempotent; a later request opens others. */
  destroy(): void {
    for (const origin of this.#origins.values()) origin.destroy();
    this.#origins.clear();
    this.#streams?.destroy();
    this.#streams = undefined;
  }

  /** Sends a request until its signal aborts, or its time is over. */
  async #cancellable<T>(
    options: HandleOptions,
    requestTimeout: number,
    send: (cancellation: Cancellation) => Promise<T>,
  ): Promise<T> {
    const cancellation = new Cancellation();
    const forget = whenAborted(options, (reason) => cancellation.cancel(abortError(reason)));
    if (cancellation.reason !== undefined) throw cancellation.reason;
    const cancelLimit =
      requestTimeout > 0
        ? limitTime(requestTimeout, () => cancellation.cancel(replyIsLate(requestTimeout)))
        : undefined;
    try {
      return await send(cancellation);
    } catch (error) {
      throw asTimeout(error);
    } finally {
      cancelLimit?.();
      forget?.();
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

/** What is read event by event, sent once the other end has agreed, or sent in chunks. */
function wantsStream({ headers }: HttpRequest): boolean {
  return (
    headers["x-amz-target"]?.endsWith(".SubscribeToShard") === true ||
    Object.keys(headers).some((name) => /^(?:expect|transfer-encoding)$/i.test(name))
  );
}

function checkProxy(proxy: unknown): string | false | undefined {
  if (proxy === undefined || proxy === false) return proxy;
  if (isProxy(proxy)) return proxy;
  // It may hold a password, so it is not shown.
  throw new ConfigError("proxy", "must be a URL with http:// or https://, or false");
}

function replyIsLate(requestTimeout: number): Error {
  return timeoutError(`the reply was not complete after ${requestTimeout} ms`);
}
