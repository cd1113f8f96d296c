/** The parts of an SDK client's configuration that say where its calls go. */
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

/** Where an SDK client's calls go, as far as it is known. */
export interface SdkTarget {
  readonly region?: string | undefined;
  /** Only if the client, the environment or the profile has one. Without user, password and query. */
  readonly endpoint?: string | undefined;
}

/**
 * Where the calls of an AWS SDK client go, for messages and logs. The client may be of another SDK
 * version, or not of the SDK: what cannot be read is undefined. Never rejects.
 */
export async function sdkTarget(client: unknown): Promise<SdkTarget> {
  const { config } = client as ConfiguredClient;
  const [region, endpoint, configured] = await Promise.all([
    asked(config?.region),
    asked(config?.endpoint),
    asked(config?.ignoreConfiguredEndpointUrls ? undefined : config?.serviceConfiguredEndpoint),
  ]);
  return {
    region: typeof region === "string" ? region : undefined,
    endpoint: endpointText(endpoint) ?? urlText(configured),
  };
}

/** Undefined if there is none or its provider fails: the call fails too, and reports it. */
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

function urlText(endpoint: unknown): string | undefined {
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return undefined;
  const { protocol, host, pathname } = new URL(endpoint);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}
