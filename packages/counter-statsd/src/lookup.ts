import { lookup } from "node:dns";

/** How long an address is cached, in milliseconds. A server that moves is found after this time. */
const CACHE_MS = 60_000;

type Callback = (error: Error | null, address: string, family: number) => void;

/**
 * A DNS lookup for a datagram socket. It asks only for addresses of the socket's family: for many names, `localhost` among
 * them, another family's address comes first. An answer is cached for a minute, so that a name is not looked up for each
 * datagram.
 */
export function cachedLookup(): (hostname: string, family: 4 | 6, callback: Callback) => void {
  // By name, because the socket also looks up the address that it binds to.
  const cache = new Map<string, { readonly address: string; readonly until: number }>();
  return (hostname, family, callback) => {
    const known = cache.get(hostname);
    if (known !== undefined && performance.now() < known.until) {
      process.nextTick(callback, null, known.address, family);
      return;
    }
    lookup(hostname, family, (error, address) => {
      if (error === null) cache.set(hostname, { address, until: performance.now() + CACHE_MS });
      callback(error, address, family);
    });
  };
}
