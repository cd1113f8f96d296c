/** The parts of an SDK client's configuration that determine its Region and endpoint. */
interface ConfiguredClient {
  readonly config?: {
    readonly region?: unknown;
    readonly endpoint?: unknown;
    readonly ignoreConfiguredEndpointUrls?: unknown;
    /** Reads the environment and the profile. */
    readonly serviceConfiguredEndpoint?: unknown;
  };
}

interface Endpoint {
  readonly protocol?: unknown;
  readonly hostname?: unknown;
  readonly port?: unknown;
  readonly path?: unknown;
}

/** The Region and endpoint of an SDK client, as far as known. */
export interface SdkTarget {
  readonly region?: string | undefined;
  /** Set only if the client, the environment or the profile configures one. Without user, password and query. */
  readonly endpoint?: string | undefined;
}

/**
 * Reads the Region and endpoint of an AWS SDK client, for messages and logs. The client may be of another SDK
 * version, or not of the SDK: what cannot be read is undefined. Never rejects.
 */
export async function sdkTarget(client: unknown): Promise<SdkTarget> {
  const { config } = client as ConfiguredClient;
  const [region, endpoint, configured] = await Promise.all([
    provided(config?.region),
    provided(config?.endpoint),
    provided(config?.ignoreConfiguredEndpointUrls ? undefined : config?.serviceConfiguredEndpoint),
  ]);
  return {
    region: typeof region === "string" ? region : undefined,
    endpoint: endpointText(endpoint) ?? urlText(configured),
  };
}

/** The value of a provider; undefined if it has none or fails. The call itself then fails too, and reports it. */
async function provided(provider: unknown): Promise<unknown> {
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

function urlText(endpoint: unknown): string | undefined {
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return undefined;
  const { protocol, host, pathname } = new URL(endpoint);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}
