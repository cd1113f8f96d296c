import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler } from "./transport/http-handler.ts";

/**
 * Creates the client of a consumer that was created without one. Region, credentials and endpoint come from
 * the environment. It keeps connections alive and resumes TLS sessions; the SDK's default for Kinesis,
 * HTTP/2, opens a connection for each call. It has no request timeout: callers limit their calls.
 */
export function ownClient(): KinesisClient {
  return new KinesisClient({ requestHandler: new KinesisHttpHandler() });
}

/** The clients that were warned about. */
const reported = new WeakSet<object>();

/**
 * Warns, once per client and process, if the client closes its connection after each call. Each poll then
 * costs a TCP and a TLS handshake.
 */
export async function warnOfClosedConnections(
  client: object,
  warn: (message: string) => void,
): Promise<void> {
  if (!(await closesConnections(client)) || reported.has(client)) return;
  reported.add(client);
  warn(
    "the Kinesis client opens a connection for each call, as the SDK's default does. Create it with " +
      "`requestHandler: new KinesisHttpHandler()`",
  );
}

/** The parts of the SDK's HTTP/2 handler that say how it uses connections. */
interface Http2Handler {
  readonly metadata?: { readonly handlerProtocol?: unknown };
  /** A promise of the handler's options. */
  readonly configProvider?: unknown;
}

/**
 * The SDK's HTTP/2 handler closes its session after each call if concurrent streams are disabled, which is
 * the default for Kinesis. The client may be from another SDK version: options that cannot be read count as
 * the default.
 */
async function closesConnections(client: object): Promise<boolean> {
  const { config } = client as { readonly config?: { readonly requestHandler?: Http2Handler } };
  const handler = config?.requestHandler;
  if (handler?.metadata?.handlerProtocol !== "h2") return false;
  // Options that fail to resolve also fail the calls, which report the error.
  const options = await Promise.resolve(handler.configProvider).catch(() => undefined);
  if (typeof options !== "object" || options === null) return true;
  return (options as { disableConcurrentStreams?: unknown }).disableConcurrentStreams === true;
}
