import { isIP } from "node:net";

/** The headers that say for whom a request is, and which page has made it. */
export interface OriginHeaders {
  readonly host?: string | undefined;
  /** What HTTP/2 has in place of `host`. */
  readonly ":authority"?: string | undefined;
  readonly origin?: string | undefined;
}

/** Is it an address of this machine alone? */
export function isLoopback(host: string): boolean {
  return host === "::1" || host === "localhost" || host.startsWith("127.");
}

/**
 * May a server on the loopback address answer the request? A page of the web that a browser on this
 * machine shows could send it: its own name can be made to lead here (DNS rebinding), and it can send
 * requests across origins. So the host has to be `localhost` or an address, and so has the origin of a
 * page. Pure.
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
