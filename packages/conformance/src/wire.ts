import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A server's address. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** A point in the exchange of messages between a client and a server. */
export interface Moment {
  /** The number of the client's message, from 0. */
  readonly message: number;
  /**
   * `before`: the message is not sent; `within`: half of it is sent; `after`: it is sent, and its
   * reply is never read; `answered`: the first part of its reply is read.
   */
  readonly when: "before" | "within" | "after" | "answered";
}

interface Armed {
  readonly moment: Moment;
  /** Whether all connections freeze, or this connection is cut. */
  readonly fate: "still" | "cut";
  readonly reached: () => void;
}

/**
 * The network between one client and the server. At a chosen moment it freezes: all connections
 * stay open, and no data passes in either direction. The server cannot distinguish this from a
 * client whose process was stopped, whose event loop is blocked, or whose machine is lost.
 * Alternatively the connection is cut at that moment.
 */
export class Wire {
  readonly #listeners: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** The connections to the servers. */
  readonly #sessions = new Set<Socket>();
  /** Actions that were held back, in order. */
  readonly #held: (() => void)[] = [];
  #still = false;
  #isCut = false;
  #armed: Armed | undefined;
  #messages = 0;

  /** Opens the network between one client and all of these servers. */
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

  /** The addresses at which the client reaches the servers, in the servers' order. */
  get addresses(): readonly ServerAddress[] {
    return this.#listeners.map((listener) => {
      const { address, port } = listener.address() as AddressInfo;
      return { host: address, port };
    });
  }

  /** The number of messages that the client has sent since the last moment was set. */
  get messages(): number {
    return this.#messages;
  }

  /** The ports of the client, as the server sees them. */
  get ports(): readonly number[] {
    return [...this.#sessions].flatMap(({ localPort }) => localPort ?? []);
  }

  /** Freezes at that moment, counting messages from now; resolves when it happens. */
  standStillAt(moment: Moment): Promise<void> {
    return this.#arm(moment, "still");
  }

  /** Cuts the connection at that moment, counting messages from now; resolves when it happens. */
  cutAt(moment: Moment): Promise<void> {
    return this.#arm(moment, "cut");
  }

  /** Freezes immediately. */
  standStill(): void {
    this.#still = true;
  }

  /** Ends the freeze: held data passes, and so do later messages. */
  wake(): void {
    this.#still = false;
    this.#armed = undefined;
    for (const pass of this.#held.splice(0)) pass();
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Simulates the end of the client's process: connections end, and new ones are refused until
   * `restore`.
   */
  kill(): void {
    this.#isCut = true;
    this.cut();
  }

  restore(): void {
    this.#isCut = false;
    this.wake();
  }

  async close(): Promise<void> {
    this.cut();
    for (const listener of this.#listeners.splice(0)) {
      listener.close();
      await once(listener, "close");
    }
  }

  #arm(moment: Moment, fate: Armed["fate"]): Promise<void> {
    this.#messages = 0;
    return new Promise((reached) => (this.#armed = { moment, fate, reached }));
  }

  #join(client: Socket, target: ServerAddress): void {
    this.#track(client);
    if (this.#isCut) client.destroy();
    this.#pass(() => {
      if (client.destroyed) return;
      const server = connect({ ...target, allowHalfOpen: true });
      this.#track(server);
      this.#sessions.add(server);
      const end = (): void => [client, server].forEach((socket) => void socket.destroy());
      /** The action at the next answer. */
      let atAnswer: { readonly when: Moment["when"]; readonly act: () => void } | undefined;
      client.on("data", (chunk) => {
        const due = this.#dueOf();
        if (due === undefined) return this.#pass(() => server.write(chunk));
        const { when } = due.moment;
        const act = (): void => {
          if (due.fate === "still") this.#still = true;
          else end();
          due.reached();
        };
        const sent = lengthSent(when, chunk.length);
        if (sent > 0) server.write(chunk.subarray(0, sent));
        if (when === "answered" || (when === "after" && due.fate === "cut")) {
          atAnswer = { when, act };
          return;
        }
        act();
        if (sent < chunk.length) this.#pass(() => server.write(chunk.subarray(sent)));
      });
      server.on("data", (chunk) => {
        const { when, act } = atAnswer ?? {};
        atAnswer = undefined;
        if (when === "after") return act?.();
        this.#pass(() => client.write(chunk, () => act?.()));
      });
      client.on("end", () => this.#pass(() => server.end()));
      server.on("end", () => this.#pass(() => client.end()));
      client.on("close", () => this.#pass(() => server.destroy()));
      server.on("close", () => {
        this.#sessions.delete(server);
        this.#pass(() => client.destroy());
      });
    });
  }

  /** Called for each message of the client; returns the armed fault if it is due. */
  #dueOf(): Armed | undefined {
    const armed = this.#armed;
    const isDue = !this.#still && armed?.moment.message === this.#messages;
    this.#messages += 1;
    if (!isDue) return undefined;
    this.#armed = undefined;
    return armed;
  }

  #pass(step: () => void): void {
    if (this.#still) this.#held.push(step);
    else step();
  }

  #track(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // "close" follows and ends the other side; without a listener the process would end.
    socket.on("error", () => undefined);
  }
}

/** How many bytes of a message are sent before the moment. */
function lengthSent(when: Moment["when"], length: number): number {
  if (when === "before") return 0;
  return when === "within" ? Math.ceil(length / 2) : length;
}
