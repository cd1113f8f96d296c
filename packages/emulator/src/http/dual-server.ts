import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

export interface DualServer {
  readonly port: number;
  /** Ends every connection, then resolves. */
  close(): Promise<void>;
}

/** Timeouts for slow clients, in milliseconds. */
export interface Timeouts {
  /** From the connection to the first bytes, and for the headers of a request. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** For an HTTP/2 connection without activity. */
  readonly idleMs: number;
}

const TIMEOUTS: Timeouts = { headersMs: 20_000, requestMs: 60_000, idleMs: 120_000 };

/**
 * Serves HTTP/1.1 and HTTP/2 with prior knowledge (h2c, which the SDK's default handler uses for `http://`) on one
 * port: a connection that begins with `PRI` is HTTP/2.
 */
export async function listen(
  handle: (request: Request, response: Response) => void,
  port: number,
  host: string,
  { headersMs, requestMs, idleMs }: Timeouts = TIMEOUTS,
): Promise<DualServer> {
  const http1 = createHttp1Server(
    {
      keepAliveTimeout: 60_000,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: headersMs / 2,
    },
    handle,
  );
  // This server never listens itself, but it checks for slow requests only after this event.
  http1.emit("listening");
  const http2 = createHttp2Server(handle);
  http2.setTimeout(idleMs);
  http2.on("timeout", (session: ServerHttp2Session) => session.close());
  const sockets = new Set<Socket>();

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A client that disconnects is no error of the server.
    socket.on("error", () => socket.destroy());
    const slow = setTimeout(() => socket.destroy(), headersMs);
    socket.once("close", () => clearTimeout(slow));
    const peek = (): void => {
      const head = socket.read(3) as Buffer | null;
      if (head === null) return;
      clearTimeout(slow);
      socket.off("readable", peek);
      socket.unshift(head);
      (head.toString("latin1") === "PRI" ? http2 : http1).emit("connection", socket);
    };
    socket.on("readable", peek);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });

  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Stops the check for slow requests.
        http1.close();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Breaks the connection of a request. */
export function breakConnection(request: Request): void {
  if ("stream" in request) request.stream.session?.destroy();
  else request.socket.destroy();
}
