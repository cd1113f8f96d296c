import type { Agent } from "node:http";
import type { ConnectionOptions } from "node:tls";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpProxyAgent, HttpsProxyAgent } from "hpagent";
import { getProxyForUrl } from "proxy-from-env";
import { ConfigError } from "../../errors.ts";
import { addressTimeout } from "./connection.ts";

/** The SDK's own HTTP/1.1 handler. */
export type SdkHandler = NodeHttpHandler;

export interface SdkHandlerOptions {
  readonly maxSockets: number;
  readonly connectionTimeout: number;
  readonly tls: ConnectionOptions;
}

/** Creates the handler for requests or replies that are streams. */
export function streamHandler({
  maxSockets,
  connectionTimeout,
  tls,
}: SdkHandlerOptions): SdkHandler {
  const sockets = {
    keepAlive: true,
    maxSockets,
    autoSelectFamilyAttemptTimeout: addressTimeout(connectionTimeout),
  };
  return new NodeHttpHandler({
    connectionTimeout,
    throwOnRequestTimeout: true,
    httpAgent: sockets,
    httpsAgent: { ...tls, ...sockets },
  });
}

/**
 * Creates the handler for requests through a proxy, which opens tunnels. At most `maxSockets` idle tunnels are
 * kept. The number of open tunnels is not limited here.
 */
export function proxiedHandler(
  proxy: string,
  { maxSockets, connectionTimeout, tls }: SdkHandlerOptions,
): SdkHandler {
  const sockets = { proxy, keepAlive: true, maxFreeSockets: maxSockets };
  return new NodeHttpHandler({
    connectionTimeout,
    throwOnRequestTimeout: true,
    httpAgent: limitTunnels(new HttpProxyAgent(sockets), connectionTimeout),
    httpsAgent: limitTunnels(new HttpsProxyAgent({ ...tls, ...sockets }), connectionTimeout),
  });
}

/**
 * Closes the connection to a proxy that does not open a tunnel: the SDK's handler only ends the request that
 * waits for it. The timeout is longer than the handler's, whose error says more.
 */
function limitTunnels<T extends Agent>(agent: T, connectionTimeout: number): T {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) =>
    connect({ ...options, timeout: 2 * connectionTimeout }, callback);
  return agent;
}

/**
 * Returns the proxy for a URL; `undefined` if there is none.
 * @param proxy the URL of the proxy; false = no proxy; undefined = by the environment
 * @throws ConfigError if the environment names a proxy that is not an HTTP proxy
 */
export function proxyOf(url: string, proxy: string | false | undefined): string | undefined {
  if (proxy === false) return undefined;
  const found = proxy ?? getProxyForUrl(url);
  if (found === "") return undefined;
  if (isProxy(found)) return found;
  // The URL may contain a password, so the message does not show it.
  throw new ConfigError(
    "proxy",
    "the proxy that the environment names must be a URL with http:// or https://. Correct HTTPS_PROXY, " +
      "HTTP_PROXY or ALL_PROXY, except the endpoint with NO_PROXY, or pass `proxy: false`",
  );
}

export function isProxy(url: unknown): url is string {
  return typeof url === "string" && /^https?:\/\/[^/]/i.test(url) && URL.canParse(url);
}
