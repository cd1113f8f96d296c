import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { ServerAddress } from "./harness.ts";

/** A moment at which a client stands still. */
export interface Moment {
  /** The number of the message that it sends then, from 0. */
  readonly message: number;
  /** `before` = the message is not sent; `after` = it is sent, and its reply is never read. */
  readonly when: "before" | "after";
}

/**
 * The network between one client and the server. From a chosen message on it stands still: all
 * connections stay open, and nothing passes in either direction. To the server that is a client
 * whose process was stopped, whose event loop is blocked, or whose machine is lost.
 */
export class Wire {
  readonly #listeners: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** What did not pass, in order. */
  readonly #held: (() => void)[] = [];
  #still = false;
  #armed: { readonly moment: Moment; readonly reached: () => void } | undefined;
  #messages = 0;

  /** Leads to these servers; dead or alive, it is one client's way to all of them. */
  static async open(servers: readonly ServerAddress[]): Promise<Wire> {
    const wire = new Wire();
    for (const server of servers) {
      const join = (client: Socket): void => wire.#join(client, server);
      const listener = createServer({ allowHalfOpen: true }, join);
      wire.#listeners.push(listener);
      listener.listen(0, "127.0.0.1");
      await once(listener, "listening");
    }
    return wire;
  }

  /** Where the client finds the servers, in their order. */
  get addresses(): readonly ServerAddress[] {
    return this.#listeners.map((listener) => {
      const { address, port } = listener.address() as AddressInfo;
      return { host: address, port };
    });
  }

  /** Stands still at that moment, messages being counted from now on; resolves when it does. */
  standStillAt(moment: Moment): Promise<void> {
    this.#messages = 0;
    return new Promise((reached) => (this.#armed = { moment, reached }));
  }

  /** What was held passes, and all that follows. */
  wake(): void {
    this.#still = false;
    this.#armed = undefined;
    for (const pass of this.#held.splice(0)) pass();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const listener of this.#listeners.splice(0)) {
      listener.close();
      await once(listener, "close");
    }
  }

  #join(client: Socket, target: ServerAddress): void {
    this.#track(client);
    this.#pass(() => {
      if (client.destroyed) return;
      const server = connect({ ...target, allowHalfOpen: true });
      this.#track(server);
      client.on("data", (chunk) => this.#message(() => server.write(chunk)));
      server.on("data", (chunk) => this.#pass(() => client.write(chunk)));
      client.on("end", () => this.#pass(() => server.end()));
      server.on("end", () => this.#pass(() => client.end()));
      client.on("close", () => this.#pass(() => server.destroy()));
      server.on("close", () => this.#pass(() => client.destroy()));
    });
  }

  /** Something that the client sends. */
  #message(send: () => void): void {
    const { moment, reached } = this.#armed ?? {};
    const isDue = !this.#still && moment?.message === this.#messages;
    this.#messages += 1;
    if (isDue && moment?.when === "after") send();
    if (isDue) this.#still = true;
    if (!isDue || moment?.when === "before") this.#pass(send);
    if (isDue) reached?.();
  }

  #pass(step: () => void): void {
    if (this.#still) this.#held.push(step);
    else step();
  }

  #track(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // "close" follows, and ends the other side; without a listener the process would end.
    socket.on("error", () => undefined);
  }
}
