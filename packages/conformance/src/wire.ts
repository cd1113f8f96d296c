import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Where a server listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** A moment of what a client and a server say to each other. */
export interface Moment {
  /** The number of the message that the client sends then, from 0. */
  readonly message: number;
  /**
   * `before` = the message is not sent; `within` = a half of it is; `after` = it is sent, and its reply is
   * never read; `answered` = the first part of its reply is read.
   */
  readonly when: "before" | "within" | "after" | "answered";
}

interface Armed {
  readonly moment: Moment;
  /** All stands still, or the connection ends. */
  readonly fate: "still" | "cut";
  readonly reached: () => void;
}

/**
 * The network between one client and the server. At a chosen moment it stands still: all connections stay
 * open, and nothing passes in either direction. To the server that is a client whose process was stopped,
 * whose event loop is blocked, or whose machine is lost. Or a connection ends there.
 */
export class Wire {
  readonly #listeners: Server[] = [];
  readonly #sockets = new Set<Socket>();
  /** Those to the servers. */
  readonly #sessions = new Set<Socket>();
  /** What did not pass, in order. */
  readonly #held: (() => void)[] = [];
  #still = false;
  #isCut = false;
  #armed: Armed | undefined;
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

  /** What the client has sent since the last moment was chosen. */
  get messages(): number {
    return this.#messages;
  }

  /** The ports of the client, as the server sees them. */
  get ports(): readonly number[] {
    return [...this.#sessions].flatMap(({ localPort }) => localPort ?? []);
  }

  /** Stands still at that moment, messages being counted from now on; resolves when it does. */
  standStillAt(moment: Moment): Promise<void> {
    return this.#arm(moment, "still");
  }

  /** Ends the connection at that moment, messages being counted from now on; resolves when it does. */
  cutAt(moment: Moment): Promise<void> {
    return this.#arm(moment, "cut");
  }

  /** Stands still at once. */
  standStill(): void {
    this.#still = true;
  }

  /** What was held passes, and all that follows. */
  wake(): void {
    this.#still = false;
    this.#armed = undefined;
    for (const pass of this.#held.splice(0)) pass();
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The client's process is gone: its connections end, and there are no new ones before `restore`. */
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
      /** What happens at the next answer. */
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

  /** Something that the client sends: is it the moment? */
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
    // "close" follows, and ends the other side; without a listener the process would end.
    socket.on("error", () => undefined);
  }
}

/** How much of a message is sent before the moment. */
function lengthSent(when: Moment["when"], length: number): number {
  if (when === "before") return 0;
  return when === "within" ? Math.ceil(length / 2) : length;
}
