import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Consumer } from "@kc/core";
import { register } from "prom-client";

export interface Served {
  readonly url: string;
  close(): void;
}

type Page = (response: ServerResponse) => void | Promise<void>;

/**
 * `/metrics` for Prometheus, `/live` and `/ready` for the probes of an orchestrator, `/status` for
 * people. Listens on the loopback address only; in a container, use the container's address.
 */
export async function serve(consumer: Consumer, port: number): Promise<Served> {
  const pages: Readonly<Record<string, Page>> = {
    "/metrics": async (response) => {
      const metrics = await register.metrics();
      response.writeHead(200, { "content-type": register.contentType }).end(metrics);
    },
    "/live": (response) => {
      const health = consumer.health();
      json(response, health, health.alive ? 200 : 503);
    },
    "/ready": (response) => {
      const health = consumer.health();
      json(response, health, health.ready ? 200 : 503);
    },
    "/status": (response) => json(response, consumer.status()),
  };
  const server = createServer((request, response) => {
    const page = pages[request.url ?? ""];
    if (page === undefined) json(response, Object.keys(pages), 404);
    else void answer(page, response);
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  const { port: listening } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${listening}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** An error while a page is created affects only that request: the worker continues. */
async function answer(page: Page, response: ServerResponse): Promise<void> {
  try {
    await page(response);
  } catch (error) {
    console.error("a page could not be made", error);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
