import { lookup } from "node:dns";

/** A server that moves is found after so long. */
const CACHE_MS = 60_000;

type Callback = (error: Error | null, address: string, family: number) => void;

/**
 * The lookup of a datagram socket, which asks for the addresses of its own family alone: many names,
 * `localhost` among them, have another family's first. An answer is kept for a minute, so that a name
 * is not looked up for each datagram.
 */
export function cachedLookup(): (hostname: string, family: 4 | 6, callback: Callback) => void {
  // By name: the socket asks for the address that it binds to as well.
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
