import { isIP } from "node:net";

/** The headers that name the host of a request, and the page that sent it. */
export interface OriginHeaders {
  readonly host?: string | undefined;
  /** The equivalent of `host` in HTTP/2. */
  readonly ":authority"?: string | undefined;
  readonly origin?: string | undefined;
}

/** True for a loopback address. */
export function isLoopback(host: string): boolean {
  return host === "::1" || host === "localhost" || host.startsWith("127.");
}

/**
 * Whether a server on a loopback address may answer the request. A web page in a browser on this machine could send
 * requests here, across origins or under its own name (DNS rebinding). So both the host and the origin of a page must
 * be `localhost` or an address. Pure.
 */
export function isFromThisMachine(headers: OriginHeaders): boolean {
  const host = headers[":authority"] ?? headers.host;
  if (host !== undefined && !isLocalName(`http://${host}`)) return false;
  return headers.origin === undefined || isLocalName(headers.origin);
}

function isLocalName(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const hostname = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  return hostname === "localhost" || hostname.endsWith(".localhost") || isIP(hostname) !== 0;
}
