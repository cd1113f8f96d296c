import type { CallTarget } from "./call-failure.ts";

/** The parts of an SDK client's configuration that say where its calls go. */
interface ConfiguredClient {
  readonly config?: {
    readonly region?: unknown;
    readonly endpoint?: unknown;
    readonly isCustomEndpoint?: unknown;
  };
}

interface Endpoint {
  readonly protocol?: unknown;
  readonly hostname?: unknown;
  readonly port?: unknown;
  readonly path?: unknown;
}

/**
 * Where a client's calls go, for messages alone. The client may be another copy of the SDK, or none
 * of it: what cannot be read is left out.
 */
export async function targetOf(client: unknown, stream: string): Promise<CallTarget> {
  const { config } = client as ConfiguredClient;
  const [region, endpoint] = await Promise.all([asked(config?.region), asked(config?.endpoint)]);
  return {
    stream,
    region: typeof region === "string" ? region : undefined,
    endpoint: endpointText(endpoint),
  };
}

/** Undefined where there is none: the failing call itself says so better. */
async function asked(provider: unknown): Promise<unknown> {
  try {
    return await (typeof provider === "function" ? (provider as () => unknown)() : provider);
  } catch {
    return undefined;
  }
}

function endpointText(endpoint: unknown): string | undefined {
  if (typeof endpoint !== "object" || endpoint === null) return undefined;
  const { protocol, hostname, port, path } = endpoint as Endpoint;
  if (typeof protocol !== "string" || typeof hostname !== "string") return undefined;
  const portText = typeof port === "number" ? `:${port}` : "";
  const pathText = typeof path === "string" && path !== "/" ? path : "";
  return `${protocol}//${hostname}${portText}${pathText}`;
}
