import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KinesisHttpHandler } from "./transport/http-handler.ts";

/**
 * The client of a consumer that was created without one. Region, credentials and endpoint come from
 * the environment. It keeps connections alive and resumes TLS sessions. The SDK's default for Kinesis,
 * HTTP/2, opens a connection for each call. The caller limits how long a call may take.
 */
export function ownClient(): KinesisClient {
  return new KinesisClient({ requestHandler: new KinesisHttpHandler() });
}

/** Clients of which a warning was written. */
const reported = new WeakSet<object>();

/**
 * Warns, once for each client of the process, if the client closes its connection after each call.
 * Such a poll costs a TCP and a TLS handshake.
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
  /** A promise of its options. */
  readonly configProvider?: unknown;
}

/**
 * Without concurrent streams, the SDK's HTTP/2 handler closes its session after each call. Its default
 * for Kinesis is without. The client may be of another SDK version: what cannot be read is the default.
 */
async function closesConnections(client: object): Promise<boolean> {
  const { config } = client as { readonly config?: { readonly requestHandler?: Http2Handler } };
  const handler = config?.requestHandler;
  if (handler?.metadata?.handlerProtocol !== "h2") return false;
  // Options that cannot be had fail the calls too: they report it.
  const options = await Promise.resolve(handler.configProvider).catch(() => undefined);
  if (typeof options !== "object" || options === null) return true;
  return (options as { disableConcurrentStreams?: unknown }).disableConcurrentStreams === true;
}
