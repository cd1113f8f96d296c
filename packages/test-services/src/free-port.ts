import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port of the loopback address that nothing listens on. While this process lives nobody else gets it from
 * here: a server may be slow to listen there, or be down for a while.
 *
 * Not one that the kernel picks: while a server is down, the kernel might give its port to an
 * outgoing connection. A client that keeps trying to reconnect can even get it itself, and then it
 * is connected to itself. So the port is below the range from which outgoing connections are served
 * (it begins at 32768 on Linux and at 49152 elsewhere).
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    // In this order: to listen there, to see whether it is free, is for its owner alone.
    if ((await isReserved(port)) && (await isFree(port))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("listening", () => resolve(true)).once("error", () => resolve(false));
    server.listen(port, "127.0.0.1");
  });
  if (!free) return false;
  server.close();
  await once(server, "close");
  return true;
}

/** By the UDP port of the same number, which nobody uses, and which the kernel frees with the process. */
async function isReserved(port: number): Promise<boolean> {
  const token = createSocket("udp4");
  const isOurs = await new Promise<boolean>((resolve) => {
    token.once("listening", () => resolve(true)).once("error", () => resolve(false));
    token.bind(port, "127.0.0.1");
  });
  if (isOurs) token.unref();
  else token.close();
  return isOurs;
}
