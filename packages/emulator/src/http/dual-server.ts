import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

export interface DualServer {
  readonly port: number;
  /** Ends every connection, then resolves. */
  close(): Promise<void>;
}

/**
 * HTTP/1.1 and HTTP/2 with prior knowledge (h2c, what the SDK's default handler speaks over
 * `http://`) on one port: a connection that begins with `PRI` is HTTP/2.
 */
export async function listen(
  handle: (request: Request, response: Response) => void,
  port: number,
  host: string,
): Promise<DualServer> {
  const http1 = createHttp1Server({ keepAliveTimeout: 60_000 }, handle);
  const http2 = createHttp2Server(handle);
  const sockets = new Set<Socket>();

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A client that goes away is no concern of the server's.
    socket.on("error", () => socket.destroy());
    const peek = (): void => {
      const head = socket.read(3) as Buffer | null;
      if (head === null) return;
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
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Breaks the connection that a request came on. */
export function breakConnection(request: Request): void {
  if ("stream" in request) request.stream.session?.destroy();
  else request.socket.destroy();
}
