import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Address } from "@kc-internal/test-services";
import { inject, onTestFinished } from "vitest";

type Fault =
  /** Answered in the service's name: DynamoDB Local neither throttles nor knows rights. */
  | { readonly error: string; readonly status?: number; readonly body?: string }
  /** Done, but the connection breaks before the answer. */
  | "lost-reply";

/** DynamoDB Local behind a front that fails on demand, as the service does. */
export interface FaultyService extends Address {
  /** `Operation` of each request that came, whatever became of it. */
  readonly requests: string[];
  /** How many connections are open. */
  connections(): Promise<number>;
  /** What becomes of a request; undefined = it is passed on. */
  fault: (operation: string, body: string) => Fault | undefined;
}

export async function startFaultyService(
  target: Address = inject("dynamodb"),
): Promise<FaultyService> {
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  // Only a client ends a connection.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const service: FaultyService = {
    host: "127.0.0.1",
    port,
    requests: [],
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      }),
    fault: () => undefined,
  };
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const operation = String(incoming.headers["x-amz-target"]).split(".").at(-1)!;
    service.requests.push(operation);
    const body = Buffer.concat(chunks);
    const fault = service.fault(operation, body.toString());
    if (fault !== undefined && fault !== "lost-reply") {
      const { error, status = 400 } = fault;
      const type = `com.amazonaws.dynamodb.v20120810#${error}`;
      outgoing.writeHead(status, { "content-type": "application/x-amz-json-1.0" });
      outgoing.end(fault.body ?? `{"__type":"${type}","message":"planted: ${error}"}`);
      return;
    }
    const { headers } = incoming;
    const onward = request({ host: target.host, port: target.port, method: "POST", headers });
    onward.end(body);
    const reply = await once(onward, "response").then(
      ([response]) => response as IncomingMessage,
      () => undefined,
    );
    if (reply === undefined) {
      incoming.socket.destroy();
      return;
    }
    if (fault === "lost-reply") {
      reply.resume();
      await once(reply, "end");
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(reply.statusCode ?? 500, reply.headers);
    reply.pipe(outgoing);
  }

  return service;
}
