import { startProxy, type Proxy } from "@kc-internal/test-services";
import { onTestFinished } from "vitest";
import type { StoreAddress } from "./stores.ts";

/** One process's way to its store, where that has one address. */
export interface Cable {
  readonly address: StoreAddress;
  /** Undefined = a file, or a cluster, whose nodes name their own addresses. */
  readonly proxy: Proxy | undefined;
}

/** @param latencyMs from the process to the store, one way */
export async function cableTo(address: StoreAddress, latencyMs: number): Promise<Cable> {
  switch (address.kind) {
    case "postgres": {
      const { proxy, url } = await through(address.connectionString, latencyMs);
      return { proxy, address: { ...address, connectionString: url } };
    }
    case "mysql": {
      const { proxy, url } = await through(address.uri, latencyMs);
      return { proxy, address: { ...address, uri: url } };
    }
    case "redis": {
      const { proxy, url } = await through(address.url, latencyMs);
      return { proxy, address: { ...address, url } };
    }
    case "dynamodb": {
      const { proxy, url } = await through(address.endpoint, latencyMs);
      return { proxy, address: { ...address, endpoint: url } };
    }
    default:
      return { proxy: undefined, address };
  }
}

/** A proxy before a URL's server; closed at the test's end. */
export async function through(
  url: string,
  latencyMs: number,
): Promise<{ readonly proxy: Proxy; readonly url: string }> {
  const behind = new URL(url);
  const target = { host: behind.hostname, port: Number(behind.port) };
  const proxy = await startProxy(target, { latencyMs });
  onTestFinished(() => proxy.close());
  const { href } = Object.assign(behind, { hostname: proxy.host, port: String(proxy.port) });
  return { proxy, url: href };
}
