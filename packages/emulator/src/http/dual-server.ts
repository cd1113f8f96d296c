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

/** How long a client may take, in milliseconds. */
export interface Patience {
  /** From the connection to the first bytes, and for a request's headers. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** Without any byte, on an HTTP/2 connection. */
  readonly idleMs: number;
}

const PATIENCE: Patience = { headersMs: 20_000, requestMs: 60_000, idleMs: 120_000 };

/**
 * HTTP/1.1 and HTTP/2 with prior knowledge (h2c, what the SDK's default handler speaks over
 * `http://`) on one port: a connection that begins with `PRI` is HTTP/2.
 */
export async function listen(
  handle: (request: Request, response: Response) => void,
  port: number,
  host: string,
  { headersMs, requestMs, idleMs }: Patience = PATIENCE,
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
  // It never listens itself, and looks for slow requests only from this event on.
  http1.emit("listening");
  const http2 = createHttp2Server(handle);
  http2.setTimeout(idleMs);
  http2.on("timeout", (session: ServerHttp2Session) => session.close());
  const sockets = new Set<Socket>();

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A client that goes away is no concern of the server's.
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
        // Ends its look for slow requests.
        http1.close();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Breaks the connection that a request came on. */
export function breakConnection(request: Request): void {
  if ("stream" in request) request.stream.session?.destroy();
  else request.socket.destroy();
}
