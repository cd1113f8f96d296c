import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Address } from "./server-process.ts";

export interface FrontRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/** What happens to a request; `undefined` if it is forwarded. */
export type FrontAnswer =
  | undefined
  /** Answered by the proxy instead of the server. */
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body: string;
    }
  /** Executed, but the connection breaks before the answer. */
  | "lost-reply"
  /** Never answered. */
  | "silence";

/** An HTTP proxy that fails on demand. */
export interface Front extends Address, AsyncDisposable {
  readonly endpoint: string;
  /** Every request that arrived, whatever happened to it. */
  readonly requests: FrontRequest[];
  answer: (request: FrontRequest) => FrontAnswer;
}

export async function startFront(target: Address): Promise<Front> {
  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing));
  // Only clients close connections.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const front: Front = {
    host: "127.0.0.1",
    port,
    endpoint: `http://127.0.0.1:${port}`,
    requests: [],
    answer: () => undefined,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = "", url = "", headers } = incoming;
    const body = Buffer.concat(chunks);
    const asked = { method, url, headers, body };
    front.requests.push(asked);
    const answer = front.answer(asked);
    if (answer === "silence") return;
    if (typeof answer === "object") {
      outgoing.writeHead(answer.status, answer.headers);
      outgoing.end(answer.body);
      return;
    }
    const onward = request({ host: target.host, port: target.port, path: url, method, headers });
    onward.end(body);
    const [reply] = (await once(onward, "response")) as [IncomingMessage];
    if (answer === "lost-reply") {
      reply.resume();
      await once(reply, "end");
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(reply.statusCode ?? 500, reply.headers);
    reply.pipe(outgoing);
  }

  return front;
}
