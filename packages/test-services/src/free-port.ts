import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port of the loopback address that nothing listens on.
 *
 * Not one that the kernel picks: while a server is down, the kernel might give its port to an
 * outgoing connection. A client that keeps trying to reconnect can even get it itself, and then it
 * is connected to itself. So the port is below the range from which outgoing connections are served
 * (it begins at 32768 on Linux and at 49152 elsewhere).
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true)).once("error", () => resolve(false));
      server.listen(port, "127.0.0.1");
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
