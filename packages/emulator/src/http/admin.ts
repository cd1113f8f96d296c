import { planFault } from "../fault-rule.ts";
import type { Link } from "../link.ts";
import type { Service } from "../service.ts";
import { jsonReply, type Reply } from "./reply.ts";

interface AdminRequest {
  readonly service: Service;
  readonly link: Link;
  readonly body: Buffer;
}

/** The emulator's own endpoints, by method and path. */
const routes: Readonly<Record<string, (request: AdminRequest) => Reply>> = {
  "GET /": health,
  "GET /health": health,
  "POST /_emulator/faults": ({ link, body }) => {
    planFault(link.faults, readObject(body));
    return jsonReply(200, {});
  },
  "DELETE /_emulator/faults": ({ link }) => {
    link.faults.clear();
    return jsonReply(200, {});
  },
  "PUT /_emulator/latency": ({ link, body }) => {
    const { ms } = readObject(body);
    if (typeof ms !== "number") throw new RangeError(`ms: a number, not ${JSON.stringify(ms)}`);
    link.setLatency(ms);
    return jsonReply(200, {});
  },
  "GET /_emulator/calls": ({ service }) =>
    jsonReply(200, { counts: service.calls.counts, latest: service.calls.entries }),
  "DELETE /_emulator/calls": ({ service }) => {
    service.calls.clear();
    return jsonReply(200, {});
  },
};

/** The reply to a request of one of these endpoints; undefined = the request may be for the service. */
export function answerAdmin(method: string, url: string, request: AdminRequest): Reply | undefined {
  const path = url.split("?")[0]!;
  const name = `${method} ${path}`;
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (route === undefined) {
    if (!path.startsWith("/_emulator/")) return undefined;
    return jsonReply(404, { message: `There is ${Object.keys(routes).join(", ")}.` });
  }
  try {
    return route(request);
  } catch (error) {
    return jsonReply(400, { message: error instanceof Error ? error.message : String(error) });
  }
}

function health({ service }: AdminRequest): Reply {
  return jsonReply(200, { status: "ok", streams: service.streams.list().map(({ name }) => name) });
}

function readObject(body: Buffer): Record<string, unknown> {
  const value: unknown = JSON.parse(body.toString("utf8"));
  if (typeof value === "object" && value !== null) return { ...value };
  throw new TypeError("The body has to be a JSON object.");
}
