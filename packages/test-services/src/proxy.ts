import { once } from "node:events";
import { type Server, type Socket, connect, createServer } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import type { Address } from "./server-process.ts";

/** A TCP proxy that can break. Its own address stays the same. */
export interface Proxy extends Address, AsyncDisposable {
  /** An outage: all connections end, new ones are refused. */
  cut(): Promise<void>;
  /**
   * Half-open: connections stay, and new ones are accepted, but nothing passes, neither data nor
   * the end of a connection.
   */
  blackhole(): void;
  /** After `cut`: connections are accepted. After `blackhole`: what was held back passes now. */
  restore(): Promise<void>;
  /**
   * Ends the next connection that sends this text: `before` it reaches the server, or `after`, in place of the
   * answer.
   */
  cutAt(text: string, when: "before" | "after"): void;
  /** New connections go to another server; those that are open stay where they are. */
  pointAt(target: Address): void;
  close(): Promise<void>;
}

/** Bytes of one direction that may be on their way; a sender waits for more. */
const MOST_IN_FLIGHT = 4 * 1024 * 1024;

export interface ProxyOptions {
  /** How long a byte is on its way, in milliseconds: a reply comes after twice that. @default 0 */
  readonly latencyMs?: number;
}

/** Starts a proxy in front of a server; what is sent to the one reaches the other. */
export async function startProxy(target: Address, options: ProxyOptions = {}): Promise<Proxy> {
  const proxy = new TcpProxy(target, await freePort(), options.latencyMs ?? 0);
  await proxy.restore();
  return proxy;
}

class TcpProxy implements Proxy {
  readonly host = "127.0.0.1";
  readonly port: number;
  #target: Address;
  readonly #latencyMs: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** Nothing passes before it is open. */
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #cutAt: { readonly text: string; readonly when: "before" | "after" } | undefined;

  constructor(target: Address, port: number, latencyMs: number) {
    this.#target = target;
    this.port = port;
    this.#latencyMs = latencyMs;
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    this.#open();
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  blackhole(): void {
    if (this.#gate !== undefined) return;
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    this.#gate = { opened, open };
  }

  async restore(): Promise<void> {
    this.#open();
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#join(socket));
    this.#server = server;
    server.listen(this.port, this.host);
    await once(server, "listening");
  }

  cutAt(text: string, when: "before" | "after"): void {
    this.#cutAt = { text, when };
  }

  pointAt(target: Address): void {
    this.#target = target;
  }

  close(): Promise<void> {
    return this.cut();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** One connection, from beginning to end. */
  async #join(client: Socket): Promise<void> {
    this.#track(client);
    await this.#gate?.opened;
    if (client.destroyed) return;
    const server = connect({ ...this.#target, allowHalfOpen: true });
    this.#track(server);
    let isAnswerLost = false;
    const onRequest = (chunk: Buffer): void => {
      const { text, when } = this.#cutAt ?? {};
      if (text === undefined || !chunk.includes(text)) return;
      this.#cutAt = undefined;
      if (when === "before") throw new Error("cut before it");
      isAnswerLost = true;
    };
    const onAnswer = (): void => {
      if (isAnswerLost) throw new Error("cut at its answer");
    };
    await Promise.all([
      this.#forward(client, server, onRequest),
      this.#forward(server, client, onAnswer),
    ]);
  }

  /** @param look throws when the connection is to end before this chunk */
  async #forward(from: Socket, to: Socket, look: (chunk: Buffer) => void): Promise<void> {
    // Chunks travel side by side and arrive in order: latency takes no bandwidth.
    let arrived: Promise<void> = Promise.resolve();
    let inFlight = 0;
    const deliver = async (before: Promise<void>, trip: Promise<void>, chunk: Buffer) => {
      await Promise.all([before, trip]);
      await this.#gate?.opened;
      await new Promise<void>((resolve, reject) => {
        to.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
      inFlight -= chunk.length;
    };
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        look(chunk);
        inFlight += chunk.length;
        arrived = deliver(arrived, this.#trip(), chunk);
        // Awaited below; until then a failure must not count as unhandled.
        arrived.catch(() => undefined);
        if (this.#latencyMs === 0 || inFlight > MOST_IN_FLIGHT) await arrived;
      }
      await Promise.all([arrived, this.#trip()]);
      await this.#gate?.opened;
      to.end();
    } catch {
      // One side broke off: so does the other, if the news gets through.
      await this.#gate?.opened;
      from.destroy();
      to.destroy();
    }
  }

  async #trip(): Promise<void> {
    if (this.#latencyMs > 0) await after(this.#latencyMs);
  }

  #track(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Its reader learns of it too; without a listener here the process would end.
    socket.on("error", () => undefined);
  }
}
