import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";

/** Above the calls that are under way at once, so that none waits for a socket. */
const MAX_SOCKETS = 50;
const CONNECTION_TIMEOUT_MS = 5000;

/**
 * The client of a consumer that was given none: Region, credentials and endpoint come from the
 * environment. Its connections are kept alive, and TLS sessions resumed: the SDK's default for
 * Kinesis, HTTP/2, opens a connection for each call. How long a call may take is up to its caller.
 */
export function ownClient(): KinesisClient {
  const sockets = { keepAlive: true, maxSockets: MAX_SOCKETS };
  return new KinesisClient({
    requestHandler: new NodeHttpHandler({
      httpAgent: new HttpAgent(sockets),
      httpsAgent: new HttpsAgent(sockets),
      connectionTimeout: CONNECTION_TIMEOUT_MS,
    }),
  });
}

/** Does a client that was handed in open a connection for each call, as the SDK's default does? */
export function connectsForEachCall(client: unknown): boolean {
  const { config } = client as {
    readonly config?: { readonly requestHandler?: { readonly metadata?: unknown } };
  };
  const metadata = config?.requestHandler?.metadata as
    | { readonly handlerProtocol?: unknown }
    | undefined;
  return metadata?.handlerProtocol === "h2";
}
