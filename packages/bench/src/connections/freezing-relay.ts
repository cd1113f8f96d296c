import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP relay that can silently freeze its connections, while new ones work. */
export class FreezingRelay implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;
  readonly #open: Set<Socket>;
  readonly #frozen = new Set<Socket>();

  private constructor(server: Server, open: Set<Socket>) {
    this.#server = server;
    this.#open = open;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(port: number): Promise<FreezingRelay> {
    const open = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.pipe(to);
        from.on("error", () => to.destroy());
        open.add(from);
        from.once("close", () => open.delete(from));
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FreezingRelay(server, open);
  }

  /**
   * From now on nothing passes through the open connections, not even their end. Returns their
   * number.
   */
  freeze(): number {
    for (const socket of this.#open) {
      socket.unpipe();
      socket.pause();
      this.#frozen.add(socket);
    }
    const connections = this.#open.size / 2;
    this.#open.clear();
    return connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of [...this.#open, ...this.#frozen]) socket.destroy();
    await closed;
  }
}
