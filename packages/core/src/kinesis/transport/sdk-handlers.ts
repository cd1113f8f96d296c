import type { Agent } from "node:http";
import type { ConnectionOptions } from "node:tls";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpProxyAgent, HttpsProxyAgent } from "hpagent";
import { getProxyForUrl } from "proxy-from-env";
import { ConfigError } from "../../errors.ts";
import { addressTimeout } from "./connection.ts";

/** The SDK's own handler of HTTP/1.1. */
export type SdkHandler = NodeHttpHandler;

export interface SdkHandlerOptions {
  readonly maxSockets: number;
  readonly connectionTimeout: number;
  readonly tls: ConnectionOptions;
}

/** For what is sent or read as a stream. */
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

/** For what is sent through a proxy, in a tunnel. `maxSockets` tunnels are kept; they are not limited here. */
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
 * Closes the connection to a proxy that opens no tunnel: the SDK's handler only ends the request that
 * waits for it. It ends that first, for its error says more.
 */
function limitTunnels<T extends Agent>(agent: T, connectionTimeout: number): T {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) =>
    connect({ ...options, timeout: 2 * connectionTimeout }, callback);
  return agent;
}

/**
 * The proxy for a URL; undefined = none.
 * @param proxy its URL, or false for none; undefined = what the environment says
 * @throws ConfigError if the environment names a proxy that is none of HTTP
 */
export function proxyOf(url: string, proxy: string | false | undefined): string | undefined {
  if (proxy === false) return undefined;
  const found = proxy ?? getProxyForUrl(url);
  if (found === "") return undefined;
  if (isProxy(found)) return found;
  // It may hold a password, so it is not shown.
  throw new ConfigError(
    "proxy",
    "the proxy that the environment names must be a URL with http:// or https://. Correct HTTPS_PROXY, " +
      "HTTP_PROXY or ALL_PROXY, except the endpoint with NO_PROXY, or pass `proxy: false`",
  );
}

export function isProxy(url: unknown): url is string {
  return typeof url === "string" && /^https?:\/\/[^/]/i.test(url) && URL.canParse(url);
}
