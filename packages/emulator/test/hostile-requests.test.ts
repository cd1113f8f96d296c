import { once } from "node:events";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startEmulator, type Emulator } from "../src/index.ts";
import { CborReader } from "../src/http/cbor-reader.ts";
import { listen } from "../src/http/dual-server.ts";

async function start(host = "127.0.0.1"): Promise<Emulator> {
  const emulator = await startEmulator({ streams: { s: 1 }, host });
  onTestFinished(() => emulator.close());
  return emulator;
}

const SDK = {
  "content-type": "application/x-amz-json-1.1",
  "x-amz-target": "Kinesis_20131202.DeleteStream",
};

async function deleteStream(port: number, headers: Record<string, string>): Promise<number> {
  const sent = request({
    host: "127.0.0.1",
    port,
    method: "POST",
    headers: { ...SDK, ...headers },
  });
  sent.end('{"StreamName":"s"}');
  const [response] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

test.each([
  ["a name that was made to lead here", { host: "rebound.example" }],
  ["a name that begins like an address", { host: "127.0.0.1.example" }],
  ["no name at all", { host: "[" }],
  ["a page of another host", { origin: "https://page.example" }],
  ["a page without an origin", { origin: "null" }],
])("on the loopback address %s may delete no stream", async (_what, headers) => {
  const emulator = await start();
  expect(await deleteStream(emulator.port, headers)).toBe(403);
  expect(emulator.kinesis.countOf("DeleteStream")).toBe(0);
});

test.each([
  [{}],
  [{ host: "localhost:4567" }],
  [{ host: "kinesis.localhost" }],
  [{ host: "[::1]:4567" }],
  [{ origin: "http://localhost:3000" }],
])("whoever calls it by its address, or by localhost, is answered: %o", async (headers) => {
  expect(await deleteStream((await start()).port, headers)).toBe(200);
});

test("over HTTP/2 the authority is looked at", async () => {
  const { url } = await start();
  const session = connectHttp2(url);
  onTestFinished(() => session.destroy());
  const sent = session.request({
    ":method": "POST",
    ":path": "/",
    ":authority": "rebound.example",
    ...SDK,
  });
  sent.end('{"StreamName":"s"}');
  const [headers] = (await once(sent, "response")) as [{ ":status": number }];
  expect(headers[":status"]).toBe(403);
});

test("a server that listens for others is called by any name", async () => {
  expect(await deleteStream((await start("0.0.0.0")).port, { host: "kinesis:4567" })).toBe(200);
});

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

test.each([
  ["sends nothing", ""],
  ["sends half a method", "PO"],
  ["sends headers without an end", "POST / HTTP/1.1\r\nhost: localhost\r\n"],
  [
    "sends a body without an end",
    "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{",
  ],
])("a client that %s is disconnected", async (_what, sends) => {
  const server = await listen((incoming) => incoming.resume(), 0, "127.0.0.1", {
    headersMs: 50,
    requestMs: 100,
    idleMs: 100,
  });
  onTestFinished(() => server.close());
  const socket = await connected(server.port);
  const ended = new Promise((resolve) => socket.resume().once("close", resolve));
  if (sends !== "") socket.write(sends);
  await ended;
});

test("a body without an end is read for a while, and then its connection is broken", async () => {
  const { port } = await start();
  const socket = await connected(port);
  let isClosed = false;
  socket.resume().once("close", () => (isClosed = true));
  socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
  const chunk = Buffer.concat([
    Buffer.from("100000\r\n"),
    Buffer.alloc(0x100000),
    Buffer.from("\r\n"),
  ]);
  for (let sent = 0; !isClosed && sent < 200; sent += 1) {
    await new Promise<unknown>((resolve) => socket.write(chunk, resolve));
  }
  // What is written to a broken connection fails at once, and its end is told a turn later.
  if (!isClosed) await new Promise((resolve) => socket.once("close", resolve));
  expect(socket.destroyed).toBe(true);
});

test.each([
  [
    "maps in a list without an end",
    Buffer.concat([Buffer.from([0x9f]), Buffer.alloc(1e6, 0xa0), Buffer.from([0xff])]),
  ],
  ["lists as deep as the body is long", Buffer.alloc(1e6, 0x81)],
  ["tags as deep as the body is long", Buffer.alloc(1e6, 0xc1)],
  [
    "a text in a million chunks",
    Buffer.concat([Buffer.from([0x7f]), Buffer.alloc(1e6, 0x60), Buffer.from([0xff])]),
  ],
])(
  "CBOR that would take fifty times its length is refused before it takes it: %s",
  (_what, body) => {
    expect(() => new CborReader(body).read()).toThrow(RangeError);
  },
);
