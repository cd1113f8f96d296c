import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A tunnel's stream is not always a socket. */
export type Wire = Duplex & Partial<Pick<Socket, "destroySoon">>;

/**
 * What a new connection speaks over: what `pg`'s option `stream` gives, which connectors and tunnels
 * set, or a plain socket.
 */
export function wireOf(connection: Readonly<Record<string, unknown>>): Wire {
  const { stream = () => new Socket() } = connection;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- pg's own contract for it
  return (typeof stream === "function" ? stream(connection) : stream) as Wire;
}
