import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/**
 * The delay of replies, in milliseconds: messages that are sent during it do not depend on these
 * replies.
 */
const REPLY_DELAY_MS = 50;

export interface Traffic {
  /** How often a connection sent something as its first message or after a reply. */
  readonly roundTrips: number;
  readonly sentBytes: number;
}

export interface Relay extends AsyncDisposable {
  /** The server's URL, with the relay's address in it. */
  readonly url: string;
  /** The traffic since the last call. */
  take(): Traffic;
}

/** A TCP relay that counts a client's messages, independent of the protocol. */
export async function startRelay(serverUrl: string): Promise<Relay> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let traffic = { roundTrips: 0, sentBytes: 0 };
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => (client.destroy(), upstream.destroy()));
      socket.on("error", () => undefined);
    }
    let replied = true;
    client.on("data", (chunk) => {
      if (replied) traffic.roundTrips += 1;
      replied = false;
      traffic.sentBytes += chunk.length;
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      setTimeout(() => {
        replied = true;
        client.write(chunk);
      }, REPLY_DELAY_MS);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(serverUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href.replace(/\/$/, ""),
    take() {
      const taken = traffic;
      traffic = { roundTrips: 0, sentBytes: 0 };
      return taken;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
