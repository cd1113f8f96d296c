import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** The stream below a connection. That of a tunnel is not always a socket. */
export type Wire = Duplex & Partial<Pick<Socket, "destroySoon">>;

/**
 * The stream for a new connection: the one of `pg`'s option `stream`, which connectors and tunnels set, or else a
 * plain socket.
 */
export function wireOf(connection: Readonly<Record<string, unknown>>): Wire {
  const { stream = () => new Socket() } = connection;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- pg's own contract for it
  return (typeof stream === "function" ? stream(connection) : stream) as Wire;
}
