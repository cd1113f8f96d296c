import { once } from "node:events";
import { type Server, type Socket, connect, createServer } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import type { Address } from "./server-process.ts";

/** A TCP proxy that can fail. Its address does not change. */
export interface Proxy extends Address, AsyncDisposable {
  /** An outage: all connections end, new ones are refused. */
  cut(): Promise<void>;
  /**
   * Half-open: connections stay open, and new ones are accepted, but neither data nor the end of a
   * connection passes.
   */
  blackhole(): void;
  /** After `cut`: connections are accepted again. After `blackhole`: held data passes. */
  restore(): Promise<void>;
  /**
   * Ends the next connection that sends this text: `before` it reaches the server, or `after`,
   * instead of the answer.
   */
  cutAt(text: string, when: "before" | "after"): void;
  /** New connections lead to another server; open ones are not affected. */
  pointAt(target: Address): void;
  close(): Promise<void>;
}

/** The maximum bytes in flight in one direction; a sender waits beyond that. */
const MAX_IN_FLIGHT = 4 * 1024 * 1024;

export interface ProxyOptions {
  /** The latency in one direction, in milliseconds: a reply arrives after twice that. @default 0 */
  readonly latencyMs?: number;
}

/** Starts a proxy in front of a server. */
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
  /** While it is set, nothing passes until it is opened. */
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

  /** @param look throws if the connection should end before this chunk */
  async #forward(from: Socket, to: Socket, look: (chunk: Buffer) => void): Promise<void> {
    // Chunks are delayed concurrently and arrive in order, so latency does not limit bandwidth.
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
        // Awaited below; until then a rejection must not count as unhandled.
        arrived.catch(() => undefined);
        if (this.#latencyMs === 0 || inFlight > MAX_IN_FLIGHT) await arrived;
      }
      await Promise.all([arrived, this.#trip()]);
      await this.#gate?.opened;
      to.end();
    } catch {
      // One side has closed: close the other one too, unless a black hole holds it back.
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
    // Its reader also gets the error; without a listener here the process would end.
    socket.on("error", () => undefined);
  }
}
