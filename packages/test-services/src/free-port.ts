import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A free port of the loopback address. This function does not return it again, in any process,
 * while this process lives, because a server may be slow to listen there, or be down for a while.
 *
 * The kernel must not choose the port: while a server is down, the kernel might use its port for an
 * outgoing connection. A client that keeps reconnecting can even get it itself, and is then
 * connected to itself. So the port is below the range of ephemeral ports (from 32768 on Linux, from
 * 49152 elsewhere).
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    // Reserves first: only the owner of the reservation may listen on the port to check whether it
    // is free.
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

/**
 * Reserves the port by binding the UDP port of the same number, which is otherwise unused, and
 * which the kernel releases when the process ends.
 */
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
