import { connect as connectTcp, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Contestant } from "../rounds.ts";
import type { Endpoint } from "./canned.ts";

const HEAD = Buffer.from(
  [
    "POST / HTTP/1.1",
    "host: kinesis",
    "x-amz-target: Kinesis_20131202.GetRecords",
    "content-type: application/x-amz-cbor-1.1",
    "content-length: 3",
    "",
    "0-A",
  ].join("\r\n"),
);

/**
 * Reads the replies' bodies in CBOR from sockets into one buffer each, and discards them: the
 * minimal cost of a page in this process.
 */
export function rawSocket(endpoint: Endpoint): Contestant {
  const { shards, pages, records } = endpoint.pages;
  return async (begin) => {
    const sockets = Array.from({ length: shards }, () => new RawSocket(endpoint));
    await Promise.all(sockets.map((socket) => socket.connected.then(() => socket.read())));
    begin();
    await Promise.all(
      sockets.map(async (socket) => {
        for (let page = 1; page < pages; page += 1) await socket.read();
      }),
    );
    for (const socket of sockets) socket.close();
    return { records: shards * (pages - 1) * records };
  };
}

class RawSocket {
  readonly connected: Promise<void>;
  readonly #socket: Socket;
  readonly #buffer = Buffer.allocUnsafe(4 * 1024 * 1024);
  /** The received bytes of the current reply, and its length once it is known. */
  #came = 0;
  #length = Infinity;
  #over: () => void = () => {};

  constructor({ url, pages: { tls } }: Endpoint) {
    const { hostname: host, port } = new URL(url);
    const onread: OnReadOpts = {
      buffer: () => this.#buffer.subarray(this.#came),
      callback: (bytes) => this.#read(bytes),
    };
    const options = { host, port: Number(port), onread };
    this.#socket =
      tls === undefined ? connectTcp(options) : connectTls({ ...options, ca: tls.cert });
    this.connected = new Promise((resolve, reject) => {
      this.#socket.once(tls === undefined ? "connect" : "secureConnect", resolve);
      this.#socket.once("error", reject);
    });
  }

  read(): Promise<void> {
    this.#came = 0;
    this.#length = Infinity;
    this.#socket.write(HEAD);
    return new Promise((resolve) => (this.#over = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: number): boolean {
    this.#came += bytes;
    if (this.#length === Infinity) {
      const head = this.#buffer.subarray(0, this.#came).indexOf("\r\n\r\n");
      if (head >= 0) {
        const announced = /content-length: (\d+)/i.exec(this.#buffer.toString("latin1", 0, head));
        this.#length = head + 4 + Number(announced?.[1]);
      }
    }
    if (this.#came === this.#length) this.#over();
    return true;
  }
}
