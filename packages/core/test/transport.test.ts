import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import {
  connect,
  createServer,
  isIP,
  type AddressInfo,
  type LookupFunction,
  type Server,
  type Socket,
} from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { createServer as createTlsServer, Server as TlsServer, type TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test, vi } from "vitest";
import { CallLimit } from "../src/adapter.ts";
import { KinesisHttpHandler, type KinesisHttpHandlerOptions } from "../src/index.ts";
import { REPLY_STARTED } from "../src/kinesis/transport/http-handler.ts";
import { SELF_SIGNED } from "./support/certificate.ts";
import { until } from "./support/until.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const HOST = "127.0.0.1";

/** A server that says what its script says: HTTP, or not quite. */
class Peer {
  readonly sockets: Socket[] = [];
  /** The requests' heads, in the order in which they came. */
  readonly requests: string[] = [];
  readonly #server: Server;

  constructor(server: Server, answer: (socket: Socket, request: string) => void) {
    this.#server = server;
    const onSocket = (socket: Socket): void => {
      this.sockets.push(socket);
      socket.on("error", () => socket.destroy());
      let received = "";
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString("latin1");
        // Each request here ends with its head, or with the body `x`.
        for (let end = endOf(received); end >= 0; end = endOf(received)) {
          const request = received.slice(0, end);
          received = received.slice(end + 4).replace(/^x/, "");
          this.requests.push(request);
          answer(socket, request);
        }
      });
    };
    server.on(server instanceof TlsServer ? "secureConnection" : "connection", onSocket);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  static async of(
    answer: (socket: Socket, request: string) => void,
    { tls = false, host = HOST }: { tls?: boolean; host?: string } = {},
  ): Promise<Peer> {
    const server = tls
      ? createTlsServer({ ...SELF_SIGNED, ALPNProtocols: ["http/1.1"] })
      : createServer({ noDelay: true });
    const peer = new Peer(server, answer);
    server.listen(0, host);
    await once(server, "listening");
    onTestFinished(() => {
      for (const socket of peer.sockets) socket.destroy();
      server.close();
    });
    return peer;
  }
}

function endOf(received: string): number {
  return received.indexOf("\r\n\r\n");
}

function handlerOf(options: KinesisHttpHandlerOptions = {}): KinesisHttpHandler {
  const handler = new KinesisHttpHandler(options);
  onTestFinished(() => handler.destroy());
  return handler;
}

function requestTo(peer: Peer, over: object = {}): Parameters<KinesisHttpHandler["handle"]>[0] {
  return {
    protocol: "http:",
    hostname: HOST,
    port: peer.port,
    method: "POST",
    path: "/",
    headers: { host: "kinesis" },
    body: "x",
    ...over,
  };
}

async function send(
  handler: KinesisHttpHandler,
  peer: Peer,
  over: object = {},
  options: { abortSignal?: AbortSignal; requestTimeout?: number } = {},
): Promise<string> {
  const { response } = await handler.handle(requestTo(peer, over), options);
  // Through a proxy it is a stream.
  const body = response.body instanceof Uint8Array ? [response.body] : (response.body as Readable);
  return `${response.statusCode} ${await text(body as AsyncIterable<Uint8Array>)}`;
}

function limitOf(): CallLimit {
  const limit = new CallLimit({ timeoutMs: 60_000, onTimeout: () => new Error(), signals: [] });
  onTestFinished(() => limit.stop());
  return limit;
}

/** What a call rejects with. */
async function failureOf(call: Promise<unknown>): Promise<Error & { code?: string }> {
  return call.then(
    () => expect.fail("it was answered"),
    (error: unknown) => error as Error & { code?: string },
  );
}

test("one connection carries one request after another; more at once take more, up to the limit", async () => {
  const waiting: Socket[] = [];
  const peer = await Peer.of((socket) => waiting.push(socket));
  const handler = handlerOf({ maxSockets: 3 });
  const answered: number[] = [];
  const calls = Array.from({ length: 8 }, async (_, index) => {
    await send(handler, peer, { path: `/${index}` });
    answered.push(index);
  });
  for (let index = 0; index < 8; index += 1) {
    await until(() => peer.requests.length === Math.min(index + 3, 8));
    waiting.shift()!.write(OK);
    await until(() => answered.length === index + 1);
  }
  await Promise.all(calls);
  const came = peer.requests.map((head) => Number(/^POST \/(\d)/.exec(head)![1]));
  // The first three come side by side, each of the others once one is answered.
  expect([...came.slice(0, 3).toSorted(), ...came.slice(3)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(answered).toEqual(came);
  expect(peer.sockets).toHaveLength(3);
});

test("a reply is the same in one piece, byte by byte, chunked, counted, or up to the connection's end", async () => {
  const replies = [
    OK,
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${OK}`,
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nt: u\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nok",
  ];
  for (const reply of replies) {
    for (const piecewise of [false, true]) {
      const peer = await Peer.of((socket) => void write(socket, reply, piecewise));
      expect(await send(handlerOf(), peer)).toBe("200 ok");
    }
  }
});

async function write(socket: Socket, reply: string, piecewise: boolean): Promise<void> {
  for (const piece of piecewise ? reply : [reply]) {
    socket.write(piece, "latin1");
    await new Promise(setImmediate);
  }
  if (!reply.includes("content-length") && !reply.includes("chunked")) socket.end();
}

test.each([
  ["HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "200 "],
  ["POST", "HTTP/1.1 204 No Content\r\n\r\n", "204 "],
  ["POST", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "304 "],
])("a reply to %s of %j has no body", async (method, reply, expected) => {
  const peer = await Peer.of((socket) => socket.write(reply));
  const handler = handlerOf();
  expect(await send(handler, peer, { method, body: undefined })).toBe(expected);
  expect(await send(handler, peer, { method, body: undefined })).toBe(expected);
  expect(peer.sockets).toHaveLength(1);
});

test.each([
  ["before the reply", (socket: Socket): unknown => socket.destroy(), "ECONNRESET"],
  ["in the head", (socket: Socket): unknown => socket.end(OK.slice(0, 20)), "ECONNRESET"],
  ["in the body", (socket: Socket): unknown => socket.end(OK.slice(0, -1)), "ECONNRESET"],
  [
    "in a chunk",
    (socket: Socket): unknown =>
      socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"),
    "ECONNRESET",
  ],
  [
    "with no HTTP",
    (socket: Socket): unknown => socket.write("SSH-2.0\r\n\r\n"),
    "HPE_KC_BAD_REPLY",
  ],
  [
    "with another protocol's greeting",
    (socket: Socket): unknown => socket.write("SSH-2.0-OpenSSH_9.6\r\n"),
    "HPE_KC_BAD_REPLY",
  ],
  [
    "with lines that end in LF alone",
    (socket: Socket): unknown => socket.write(OK.replaceAll("\r\n", "\n")),
    "HPE_KC_BAD_REPLY",
  ],
  [
    "with another protocol",
    (socket: Socket): unknown => socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "HPE_KC_BAD_REPLY",
  ],
  [
    "with a head without an end",
    (socket: Socket): unknown => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`),
    "HPE_KC_BAD_REPLY",
  ],
])(
  "a reply that breaks off %s rejects, and the next request has another connection",
  async (_when, answer, code) => {
    let broken = false;
    const peer = await Peer.of((socket) => {
      if (broken) socket.write(OK);
      else answer(socket);
      broken = true;
    });
    const handler = handlerOf();
    const name = code === "ECONNRESET" ? "TimeoutError" : "BadReplyError";
    expect(await failureOf(send(handler, peer))).toMatchObject({ code, name });
    expect(await send(handler, peer)).toBe("200 ok");
    expect(peer.sockets).toHaveLength(2);
    await until(() => peer.sockets[0]!.destroyed);
  },
);

test("a reply that goes on beyond its end is used, and its connection is not", async () => {
  const peer = await Peer.of((socket) => socket.write(`${OK}HTTP/1.1 200 OK`));
  const handler = handlerOf();
  expect(await send(handler, peer)).toBe("200 ok");
  expect(await send(handler, peer)).toBe("200 ok");
  expect(peer.sockets).toHaveLength(2);
});

test("bytes that come without a request, and a connection that the server closes, end an idle connection", async () => {
  const peer = await Peer.of((socket) => socket.write(OK));
  const handler = handlerOf();
  const clients: Socket[] = [];
  const onClient = (message: unknown): void => {
    clients.push((message as { readonly socket: Socket }).socket);
  };
  subscribe("net.client.socket", onClient);
  onTestFinished(() => void unsubscribe("net.client.socket", onClient));
  const endings: ((socket: Socket) => unknown)[] = [
    (socket) => socket.write("HTTP/1.1 408 Request Timeout\r\n\r\n"),
    (socket) => socket.end(),
    (socket) => socket.destroy(),
    (socket) => socket.resetAndDestroy(),
  ];
  for (const [index, end] of endings.entries()) {
    expect(await send(handler, peer)).toBe("200 ok");
    expect(peer.sockets).toHaveLength(index + 1);
    const socket = peer.sockets[index]!;
    end(socket);
    // The other end may hear of it later.
    await until(() => socket.destroyed && clients[index]!.destroyed);
  }
  expect(await send(handler, peer)).toBe("200 ok");
});

test.each([
  ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 2],
  ["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 2],
  // Less than a second is left: the server may close it on the way.
  ["HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok", 2],
  ["HTTP/1.1 200 OK\r\nkeep-alive: timeout=60\r\ncontent-length: 2\r\n\r\nok", 1],
])("after %j two requests take %i connections", async (reply, connections) => {
  const peer = await Peer.of((socket) => socket.write(reply));
  const handler = handlerOf();
  for (let calls = 0; calls < 2; calls += 1) expect(await send(handler, peer)).toBe("200 ok");
  expect(peer.sockets).toHaveLength(connections);
});

test("a connection that nobody has needed for a minute is closed when another one is free", async () => {
  const waiting: Socket[] = [];
  const peer = await Peer.of((socket) => waiting.push(socket));
  const handler = handlerOf();
  const sendAtOnce = async (count: number): Promise<void> => {
    const calls = Array.from({ length: count }, async () => send(handler, peer));
    await until(() => waiting.length === count);
    for (const socket of waiting.splice(0)) socket.write(OK);
    await Promise.all(calls);
  };
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  const began = performance.now();
  await sendAtOnce(3);
  for (const seconds of [30, 61]) {
    now.mockReturnValue(began + seconds * 1000);
    await sendAtOnce(1);
  }
  await until(() => peer.sockets.filter(({ destroyed }) => destroyed).length === 2);
  await sendAtOnce(1);
  expect(peer.sockets).toHaveLength(3);
});

test("a connection in constant use is replaced after five minutes, which looks the host up again", async () => {
  let ms = 0;
  let answersAt = 0;
  const now = vi.spyOn(performance, "now").mockImplementation(() => ms);
  onTestFinished(() => now.mockRestore());
  const peer = await Peer.of((socket) => {
    ms = Math.max(ms, answersAt);
    socket.write(OK);
  });
  const handler = handlerOf({ maxSockets: 1 });
  const connections: number[] = [];
  for (; ms <= 330_000; ms += 30_000) {
    expect(await send(handler, peer)).toBe("200 ok");
    connections.push(peer.sockets.length);
  }
  expect(connections).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
  // It becomes too old while it is in use, and another request waits for it.
  ms = 400_000;
  await send(handler, peer);
  answersAt = 700_000;
  const both = Promise.all([send(handler, peer), send(handler, peer)]);
  expect(await both).toEqual(["200 ok", "200 ok"]);
  expect(peer.sockets).toHaveLength(4);
});

test("an abort ends a request that waits for its reply, for its body, or for a connection, and closes what it had", async () => {
  const peer = await Peer.of((socket) => socket.write(OK.slice(0, -1)));
  const handler = handlerOf({ maxSockets: 1 });
  const [reads, waits] = [new AbortController(), new AbortController()];
  const first = failureOf(send(handler, peer, {}, { abortSignal: reads.signal }));
  const second = failureOf(send(handler, peer, {}, { abortSignal: waits.signal }));
  await until(() => peer.requests.length === 1);
  waits.abort(new Error("no longer"));
  expect(await second).toMatchObject({ name: "AbortError", cause: { message: "no longer" } });
  reads.abort();
  expect(await first).toMatchObject({ name: "AbortError" });
  await until(() => peer.sockets[0]!.destroyed);
  expect(
    await failureOf(send(handler, peer, {}, { abortSignal: AbortSignal.abort() })),
  ).toMatchObject({ name: "AbortError" });
  expect(peer.sockets).toHaveLength(1);
});

test("the limit of a call ends its request wherever it is, and makes no signal for it", async () => {
  const peer = await Peer.of((socket) => socket.write(OK.slice(0, -1)));
  const handler = handlerOf({ maxSockets: 1 });
  const asked = vi.spyOn(CallLimit.prototype, "signal", "get");
  const [reads, waits, over] = [limitOf(), limitOf(), limitOf()];
  const first = failureOf(send(handler, peer, {}, reads.options));
  const second = failureOf(send(handler, peer, {}, waits.options));
  await until(() => peer.requests.length === 1);
  waits.end(new Error("no longer"));
  expect(await second).toMatchObject({ name: "AbortError", cause: { message: "no longer" } });
  reads.end(new Error("too late"));
  expect(await first).toMatchObject({ name: "AbortError", cause: { message: "too late" } });
  await until(() => peer.sockets[0]!.destroyed);
  over.end(new Error("over"));
  expect(await failureOf(send(handler, peer, {}, over.options))).toMatchObject({
    name: "AbortError",
  });
  expect(peer.sockets).toHaveLength(1);
  expect(asked).not.toHaveBeenCalled();
});

test("a copy of a call's options ends its request by its own signal, the limit's or another", async () => {
  const peer = await Peer.of((socket) => socket.write(OK.slice(0, -1)));
  const handler = handlerOf();
  const [copied, other] = [limitOf(), new AbortController()];
  const first = failureOf(send(handler, peer, {}, { ...copied.options }));
  const second = failureOf(
    send(handler, peer, {}, { ...copied.options, abortSignal: other.signal }),
  );
  await until(() => peer.requests.length === 2);
  other.abort(new Error("another's"));
  expect(await second).toMatchObject({ name: "AbortError", cause: { message: "another's" } });
  copied.end(new Error("its own"));
  expect(await first).toMatchObject({ name: "AbortError", cause: { message: "its own" } });
});

test("a signal keeps no listener of a request that is over", async () => {
  const peer = await Peer.of((socket) => socket.write(OK));
  const handler = handlerOf();
  const { signal } = new AbortController();
  const [added, removed] = [
    vi.spyOn(signal, "addEventListener"),
    vi.spyOn(signal, "removeEventListener"),
  ];
  for (let calls = 0; calls < 3; calls += 1) await send(handler, peer, {}, { abortSignal: signal });
  expect(added).toHaveBeenCalledTimes(3);
  expect(removed).toHaveBeenCalledTimes(3);
});

test("a connection that is not there in time, and a reply that is not, are time-outs as the SDK knows them", async () => {
  // It accepts, and never shakes hands.
  const silent = await Peer.of(() => {});
  const slow = handlerOf({ connectionTimeout: 50 });
  expect(await failureOf(send(slow, silent, { protocol: "https:" }))).toMatchObject({
    name: "TimeoutError",
    message: "the connection was not established within 50 ms",
  });
  for (const [options, given] of [
    [{ requestTimeout: 50 }, {}],
    [{}, { requestTimeout: 50 }],
  ]) {
    expect(await failureOf(send(handlerOf(options), silent, {}, given))).toMatchObject({
      name: "TimeoutError",
      message: "the reply was not complete after 50 ms",
    });
  }
});

test("nobody listens: the failure is the system's own", async () => {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const failure = await failureOf(send(handlerOf(), { port } as Peer));
  expect(failure).toMatchObject({ code: "ECONNREFUSED", syscall: "connect" });
});

test("what watches a reply's memory is asked before it is read, and can refuse it", async () => {
  const asked: [number, string | undefined, number][] = [];
  const peer = await Peer.of((socket) => socket.write(OK));
  const handler = handlerOf();
  const refused = new Error("no room");
  const watched = {
    [REPLY_STARTED]: (status: number, headers: Record<string, string>) => (bytes: number) => {
      asked.push([status, headers["content-length"], bytes]);
      if (asked.length > 3) throw refused;
    },
  };
  expect(await send(handler, peer, watched)).toBe("200 ok");
  expect(asked[0]).toEqual([200, "2", 3]);
  asked.length = 3;
  expect(await failureOf(send(handler, peer, watched))).toBe(refused);
  expect(await send(handler, peer)).toBe("200 ok");
  expect(peer.sockets).toHaveLength(2);
});

test("memory that is refused while a body comes ends its request, and nothing else", async () => {
  const replies = [
    // It ends with the connection: memory is asked for as it comes.
    "HTTP/1.1 200 OK\r\n\r\nok",
    // Longer than what is taken at its word.
    "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nok",
  ];
  const refused = new Error("no room");
  const watched = {
    [REPLY_STARTED]: () => (bytes: number) => {
      if (bytes > 16 * 1024 * 1024) throw refused;
    },
  };
  for (const reply of replies) {
    const peer = await Peer.of((socket) => {
      socket.write(reply);
      socket.write(Buffer.alloc(17 * 1024 * 1024));
    });
    expect(await failureOf(send(handlerOf(), peer, watched))).toBe(refused);
    await until(() => peer.sockets[0]!.destroyed);
  }
});

test("what follows a body in the same packet is nobody's reply", async () => {
  let calls = 0;
  const peer = await Peer.of((socket) => {
    calls += 1;
    if (calls > 1) return void socket.write(OK);
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n");
    setImmediate(() => socket.write(`${"x".repeat(20_000)}${OK.replace("ok", "no")}`));
  });
  const handler = handlerOf({ maxSockets: 1 });
  const [, second] = await Promise.all([send(handler, peer), send(handler, peer)]);
  expect(second).toBe("200 ok");
  expect(peer.sockets).toHaveLength(2);
});

test("an abort after the reply ends no other request on the same connection", async () => {
  const waiting: Socket[] = [];
  const peer = await Peer.of((socket) => waiting.push(socket));
  const handler = handlerOf({ maxSockets: 1 });
  // As the SDK had it before there was an AbortSignal: nothing can be removed from it.
  const signal: { aborted: boolean; onabort: unknown } = { aborted: false, onabort: undefined };
  const first = send(handler, peer, {}, { abortSignal: signal as AbortSignal });
  await until(() => waiting.length === 1);
  waiting.shift()!.write(OK);
  await first;
  const second = send(handler, peer);
  await until(() => waiting.length === 1);
  (signal.onabort as () => void)();
  waiting.shift()!.write(OK);
  expect(await second).toBe("200 ok");
  expect(peer.sockets).toHaveLength(1);
});

test("destroy ends what is under way and what waits; a later request opens another connection", async () => {
  let answers = false;
  const peer = await Peer.of((socket) => answers && socket.write(OK));
  const handler = handlerOf({ maxSockets: 1 });
  const calls = [failureOf(send(handler, peer)), failureOf(send(handler, peer))];
  await until(() => peer.requests.length === 1);
  handler.destroy();
  for (const call of calls) expect(await call).toMatchObject({ code: "ECONNRESET" });
  await until(() => peer.sockets[0]!.destroyed);
  answers = true;
  expect(await send(handler, peer)).toBe("200 ok");
});

test("a certificate is verified by what `tls` says, and a session is resumed", async () => {
  const resumed: boolean[] = [];
  const peer = await Peer.of(
    (socket) => {
      resumed.push((socket as TLSSocket).isSessionReused());
      socket.write(OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    },
    { tls: true },
  );
  const secure = { protocol: "https:" };
  expect(await failureOf(send(handlerOf(), peer, secure))).toMatchObject({
    code: "DEPTH_ZERO_SELF_SIGNED_CERT",
  });
  const handler = handlerOf({ tls: { ca: SELF_SIGNED.cert } });
  for (let calls = 0; calls < 3; calls += 1) {
    expect(await send(handler, peer, secure)).toBe("200 ok");
  }
  expect(await send(handler, peer, { ...secure, hostname: "localhost" })).toBe("200 ok");
  expect(resumed).toEqual([false, true, true, false]);
});

test("a session with which a connection fails is offered once", async () => {
  const peer = await Peer.of(
    (socket) => {
      if ((socket as TLSSocket).isSessionReused()) socket.destroy();
      else socket.write(OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    },
    { tls: true },
  );
  const secure = { protocol: "https:" };
  const handler = handlerOf({ tls: { ca: SELF_SIGNED.cert } });
  expect(await send(handler, peer, secure)).toBe("200 ok");
  expect(await failureOf(send(handler, peer, secure))).toMatchObject({ code: "ECONNRESET" });
  expect(await send(handler, peer, secure)).toBe("200 ok");
});

test("a server that closes during TLS's handshake is named", async () => {
  const server = createServer((socket) => socket.end()).listen(0, HOST);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const failure = await failureOf(send(handlerOf(), { port } as Peer, { protocol: "https:" }));
  expect(failure).toMatchObject({ code: "ECONNRESET", name: "TimeoutError", port });
});

test("a reply of megabytes comes whole over TLS and without", async () => {
  const body = Buffer.alloc(5_000_000, "0123456789");
  const reply = Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`),
    body,
  ]);
  const handler = handlerOf({ tls: { ca: SELF_SIGNED.cert } });
  for (const tls of [false, true]) {
    const peer = await Peer.of((socket) => socket.write(reply), { tls });
    const request = requestTo(peer, { protocol: tls ? "https:" : "http:" });
    for (let calls = 0; calls < 2; calls += 1) {
      const { response } = await handler.handle(request);
      expect(body.equals(response.body)).toBe(true);
      // In memory of its own: records that are views on it keep nothing else.
      expect(response.body.buffer.byteLength).toBe(body.length + 1);
    }
    expect(peer.sockets).toHaveLength(1);
  }
});

test("an address of IPv6 is reached, in brackets as the SDK has it", async () => {
  const peer = await Peer.of((socket) => socket.write(OK), { host: "::1" });
  expect(await send(handlerOf(), peer, { hostname: "[::1]" })).toBe("200 ok");
});

/** A proxy that counts the tunnels that it opens. */
async function proxy(): Promise<{
  readonly url: string;
  readonly forwarded: string[];
  readonly close: () => void;
}> {
  const forwarded: string[] = [];
  const tunnels: Socket[] = [];
  const server = createHttpServer();
  server.on("connect", (request, socket: Socket) => {
    tunnels.push(socket);
    forwarded.push(`CONNECT ${request.url} ${request.headers["proxy-authorization"] ?? ""}`.trim());
    const [hostname, port] = request.url!.split(":");
    const onward = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
    onTestFinished(() => void onward.destroy());
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const close = (): void => {
    for (const tunnel of tunnels) tunnel.destroy();
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(close);
  return { url: `http://${HOST}:${(server.address() as AddressInfo).port}`, forwarded, close };
}

test("a proxy of the environment, or of the options, is used for TLS and without; NO_PROXY and false pass it by", async () => {
  const [secure, plain] = [
    await Peer.of((socket) => socket.write(OK), { tls: true }),
    await Peer.of((socket) => socket.write(OK)),
  ];
  const { url, forwarded } = await proxy();
  const withPassword = url.replace("//", "//user:secret@");
  const tls = { ca: SELF_SIGNED.cert };
  const sendBoth = async (options: KinesisHttpHandlerOptions): Promise<void> => {
    const handler = handlerOf({ tls, ...options });
    for (const peer of [secure, plain]) {
      const protocol = peer === secure ? "https:" : "http:";
      const headers = { host: `${HOST}:${peer.port}`, "content-length": "1" };
      expect(await send(handler, peer, { protocol, headers })).toBe("200 ok");
    }
  };
  vi.stubEnv("HTTPS_PROXY", withPassword);
  vi.stubEnv("HTTP_PROXY", url.replace("http:", "HTTP:"));
  onTestFinished(() => void vi.unstubAllEnvs());
  await sendBoth({});
  const credentials = `Basic ${Buffer.from("user:secret").toString("base64")}`;
  expect(forwarded).toEqual([
    `CONNECT ${HOST}:${secure.port} ${credentials}`,
    `CONNECT ${HOST}:${plain.port}`,
  ]);
  forwarded.length = 0;
  await sendBoth({ proxy: false });
  vi.stubEnv("NO_PROXY", `other.example,${HOST}`);
  await sendBoth({});
  expect(forwarded).toEqual([]);
  await sendBoth({ proxy: url });
  expect(forwarded).toHaveLength(2);
});

test("what is left to the SDK's handler goes through the proxy too", async () => {
  const peer = await Peer.of((socket) => socket.write(OK));
  const { url, forwarded } = await proxy();
  const headers = { host: `${HOST}:${peer.port}`, "content-length": "1" };
  const bodies = [Readable.from([Buffer.from("x")]), "x"];
  for (const body of bodies) {
    const over = { body, headers: { ...headers, ...(body === "x" ? { Expect: "x" } : {}) } };
    expect(await send(handlerOf({ proxy: url }), peer, over)).toBe("200 ok");
  }
  expect(forwarded).toHaveLength(2);
});

test.each(["http://user:secret@[squid", "socks5://user:secret@squid"])(
  "a proxy of the environment that is none, %s, is refused, and its password is not shown",
  async (url) => {
    vi.stubEnv("ALL_PROXY", url);
    onTestFinished(() => void vi.unstubAllEnvs());
    const failure = await failureOf(send(handlerOf(), { port: 1 } as Peer));
    expect(failure).toMatchObject({
      name: "ConfigError",
      message: expect.stringMatching(/NO_PROXY/) as unknown,
    });
    expect(inspect(failure)).not.toContain("secret");
  },
);

test("a process that stands still longer than a connection may take loses none", async () => {
  const answer = (socket: Socket): unknown => socket.write(OK);
  const peers = [await Peer.of(answer), await Peer.of(answer, { tls: true })];
  const handler = handlerOf({ connectionTimeout: 1000, tls: { ca: SELF_SIGNED.cert } });
  const calls = peers.map(async (peer, index) =>
    send(handler, peer, { protocol: index === 0 ? "http:" : "https:" }),
  );
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1150);
  expect(await Promise.all(calls)).toEqual(["200 ok", "200 ok"]);
});

test("a process that stands still longer than a reply may take loses none", async () => {
  const peer = await Peer.of((socket) => socket.write(OK));
  const handler = handlerOf({ requestTimeout: 1000 });
  await send(handler, peer);
  const call = send(handler, peer);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1150);
  expect(await call).toBe("200 ok");
});

/** In a thread of its own: each reply says how many connections there were, and is counted once it is sent. */
const COUNTING_SERVER = `
  const { parentPort, workerData: { tls, answered } } = require("node:worker_threads");
  let connections = 0;
  const server = require("node:tls").createServer(tls, (socket) => {
    connections += 1;
    socket.on("data", () => {
      socket.write("HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\n" + connections, () => {
        Atomics.add(answered, 0, 1);
        Atomics.notify(answered, 0);
      });
    });
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;

test("a reply that comes in the same turn of the event loop as its request leaves costs no connection over TLS", async () => {
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(COUNTING_SERVER, {
    eval: true,
    workerData: { tls: SELF_SIGNED, answered },
  });
  onTestFinished(async () => void (await worker.terminate()));
  const [port] = (await once(worker, "message")) as [number];
  const handler = handlerOf({ tls: { ca: SELF_SIGNED.cert } });
  const ask = (): Promise<string> => send(handler, { port } as Peer, { protocol: "https:", port });
  expect(await ask()).toBe("200 1");
  for (let call = 1; call <= 3; call += 1) {
    // In a timer, as a poll is: the reply is read before the request is known to have left.
    const reply = await new Promise<string>((resolve, reject) => {
      setTimeout(() => {
        ask().then(resolve, reject);
        // Another connection would not come while this thread waits.
        for (let seen = 0; seen <= call; seen = Atomics.load(answered, 0)) {
          if (Atomics.wait(answered, 0, seen, 1000) === "timed-out") break;
        }
      });
    });
    expect(reply).toBe("200 1");
  }
});

test("a connection whose reply came before its request had left carries no other request", async () => {
  const peer = await Peer.of((socket) => socket.write(OK));
  const handler = handlerOf();
  const body = Buffer.alloc(16 * 1024 * 1024);
  expect(await send(handler, peer, { body })).toBe("200 ok");
  await until(() => peer.sockets[0]!.destroyed);
  expect(await send(handler, peer)).toBe("200 ok");
  expect(peer.sockets).toHaveLength(2);
});

/** In a thread of its own: it lets nobody in, and drops whoever finds no place in its line, until it is woken. */
const BUSY_SERVER = `
  const { parentPort, workerData: { tls, woken } } = require("node:worker_threads");
  const server = require("node:tls").createServer(tls, (socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok"));
  });
  server.on("tlsClientError", () => {});
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(woken, 0, 0);
  });
`;

test("a host's address that takes longer than 250 ms is waited for, where the other one refuses", async () => {
  const woken = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(BUSY_SERVER, { eval: true, workerData: { tls: SELF_SIGNED, woken } });
  const others: Socket[] = [];
  const wake = (): void => {
    for (const socket of others) socket.destroy();
    Atomics.store(woken, 0, 1);
    Atomics.notify(woken, 0);
  };
  onTestFinished(async () => {
    wake();
    await worker.terminate();
  });
  const [port] = (await once(worker, "message")) as [number];
  for (let place = 0; place < 2; place += 1) {
    others.push(connect({ port, host: HOST }));
    await once(others[place]!, "connect");
  }
  const lookup: LookupFunction = (_host, _options, found) => {
    const both = [HOST, "::1"].map((address) => ({ address, family: isIP(address) }));
    found(null, both);
    setImmediate(wake);
  };
  // It finds no place, and asks again after a second.
  const handler = handlerOf({ tls: { lookup, rejectUnauthorized: false } });
  const peer = { port } as Peer;
  const request = { protocol: "https:", hostname: "kinesis.test" };
  expect(await send(handler, peer, request)).toBe("200 ok");
});

test("a request through a proxy, and one that is left to the SDK's handler, end in time", async () => {
  const peer = await Peer.of(() => {});
  const { url } = await proxy();
  const requests = [{ headers: { host: HOST } }, { headers: { host: HOST, expect: "x" } }];
  for (const [index, over] of requests.entries()) {
    const options = { proxy: index === 0 ? url : (false as const) };
    const handlers = [handlerOf({ ...options, requestTimeout: 50 }), handlerOf(options)];
    for (const [place, handler] of handlers.entries()) {
      const given = place === 0 ? {} : { requestTimeout: 50 };
      expect(await failureOf(send(handler, peer, over, given))).toMatchObject({
        name: "TimeoutError",
        code: "ETIMEDOUT",
      });
    }
  }
  await until(() => peer.sockets.every(({ destroyed }) => destroyed));
});

test("through a proxy, requests beyond the limit wait, and none is forgotten when the proxy ends", async () => {
  const waiting: Socket[] = [];
  const peer = await Peer.of((socket) => waiting.push(socket));
  const { url, close } = await proxy();
  const handler = handlerOf({ proxy: url, maxSockets: 2 });
  const headers = { host: `${HOST}:${peer.port}`, "content-length": "1" };
  const sent = (count: number): Promise<string>[] =>
    Array.from({ length: count }, async () => send(handler, peer, { headers }));
  const answered = sent(5);
  for (let index = 0; index < 5; index += 1) {
    await until(() => peer.requests.length === Math.min(2 + index, 5));
    waiting.shift()!.write(OK);
  }
  expect(await Promise.all(answered)).toEqual(Array.from({ length: 5 }, () => "200 ok"));
  expect(peer.sockets).toHaveLength(2);
  const stop = new AbortController();
  const calls = sent(5).map(failureOf);
  calls.push(failureOf(send(handler, peer, { headers }, { abortSignal: stop.signal })));
  calls.push(failureOf(send(handler, peer, { headers }, { requestTimeout: 20 })));
  await until(() => waiting.length === 2);
  stop.abort();
  expect(await calls[5]).toMatchObject({ name: "AbortError" });
  expect(await calls[6]).toMatchObject({ name: "TimeoutError" });
  close();
  for (const call of calls.slice(0, 5)) expect(await call).toHaveProperty("code");
});

test("a proxy that does not answer keeps no connection", async () => {
  const silent = await Peer.of(() => {});
  const options = { proxy: `http://${HOST}:${silent.port}`, connectionTimeout: 500 };
  const failures = ["http:", "https:"].map((protocol) =>
    failureOf(send(handlerOf(options), silent, { protocol })),
  );
  for (const { name } of await Promise.all(failures)) expect(name).toBe("TimeoutError");
  await until(() => silent.sockets.every(({ destroyed }) => destroyed));
  expect(silent.requests).toHaveLength(2);
});

test.each([
  [{ maxSockets: 0 }, "maxSockets: must be a whole number from 1 to 10000, not 0"],
  [{ connectionTimeout: -1 }, /^connectionTimeout: /],
  [{ requestTimeout: Number.NaN }, /^requestTimeout: /],
  [{ proxy: "squid:3128" }, "proxy: must be a URL with http:// or https://, or false"],
  [{ proxy: "http://" }, /^proxy: must be a URL/],
  [{ maxSocket: 1 }, /did you mean/],
])("the options %j are refused", (options, message) => {
  expect(() => new KinesisHttpHandler(options as object)).toThrow(message);
});
