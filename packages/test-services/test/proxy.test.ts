import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { Client } from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { type Address, type Proxy, startProxy } from "../src/index.ts";

async function proxy(): Promise<Proxy> {
  const started = await startProxy(inject("redis"));
  onTestFinished(() => started.close());
  return started;
}

async function connection({ host, port }: Address): Promise<Socket> {
  const socket = connect({ host, port });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  return socket;
}

/** What the server says next. */
async function reply(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return chunk.toString();
}

/** By an end, or by an error: who is connected may not have been let in yet. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) =>
    socket.on("error", () => undefined).once("close", () => resolve()),
  );
}

test("what is sent to one side comes out at the other", async () => {
  const socket = await connection(await proxy());
  socket.write("PING\r\n");
  expect(await reply(socket)).toBe("+PONG\r\n");
});

test("a driver works through it", async () => {
  const { user, password, database, ...target } = inject("postgres");
  await using behind = await startProxy(target);
  const client = new Client({ host: behind.host, port: behind.port, user, password, database });
  await client.connect();
  const { rows } = await client.query("SELECT repeat('x', 1000000) AS large");
  expect(rows).toEqual([{ large: "x".repeat(1_000_000) }]);
  await client.end();
});

test("with latency a reply comes no sooner than both ways take, and whole", async () => {
  const { user, password, database, ...target } = inject("postgres");
  await using behind = await startProxy(target, { latencyMs: 40 });
  const client = new Client({ host: behind.host, port: behind.port, user, password, database });
  await client.connect();
  const since = performance.now();
  const { rows } = await client.query("SELECT repeat('x', 9000000) AS large");
  expect(performance.now() - since).toBeGreaterThanOrEqual(79);
  expect(rows).toEqual([{ large: "x".repeat(9_000_000) }]);
  await client.end();
});

test("an end on one side ends the other", async () => {
  const socket = await connection(await proxy());
  socket.resume().write("QUIT\r\n");
  await once(socket, "end");
});

test("a cut ends connections and refuses new ones; restored, it serves at the same port", async () => {
  const cable = await proxy();
  const socket = await connection(cable);
  socket.resume();
  const end = closed(socket);
  await cable.cut();
  await end;
  await expect(connection(cable)).rejects.toThrow("ECONNREFUSED");
  await cable.restore();
  const again = await connection(cable);
  again.write("PING\r\n");
  expect(await reply(again)).toBe("+PONG\r\n");
});

test("a black hole accepts and forwards nothing until it is restored", async () => {
  const cable = await proxy();
  const old = await connection(cable);
  old.write("PING\r\n");
  expect(await reply(old)).toBe("+PONG\r\n");
  cable.blackhole();
  const young = await connection(cable);
  const replies: string[] = [];
  const both = Promise.all(
    [old, young].map(async (socket) => {
      socket.write("PING\r\n");
      replies.push(await reply(socket));
    }),
  );
  // Another client's round trip is made meanwhile: a proxy that forwarded would have been as fast.
  const direct = await connection(inject("redis"));
  direct.write("PING\r\n");
  await reply(direct);
  expect(replies).toEqual([]);
  await cable.restore();
  await both;
  expect(replies).toEqual(["+PONG\r\n", "+PONG\r\n"]);
});

test("in a black hole, no end of a connection is heard either", async () => {
  const cable = await proxy();
  const watched = await connection(cable);
  watched.write("CLIENT ID\r\n");
  const id = (await reply(watched)).slice(1).trim();
  let heard = false;
  const end = once(watched.resume(), "end").then(() => (heard = true));
  cable.blackhole();
  const killer = await connection(inject("redis"));
  killer.write(`CLIENT KILL ID ${id}\r\n`);
  expect(await reply(killer)).toBe(":1\r\n");
  killer.write("PING\r\n");
  await reply(killer);
  expect(heard).toBe(false);
  await cable.restore();
  await end;
});

test("a cut ends what a black hole held", async () => {
  const cable = await proxy();
  cable.blackhole();
  const held = await connection(cable);
  held.resume();
  const end = closed(held);
  await cable.cut();
  await end;
});

test("pointed at another server, it takes new connections there and leaves open ones where they are", async () => {
  const other = createServer((socket) => socket.end("elsewhere")).listen(0, "127.0.0.1");
  onTestFinished(() => void other.close());
  await once(other, "listening");
  const name = await proxy();
  const before = await connection(name);
  before.write("PING\r\n");
  // It is connected to the proxy, and the proxy is to the server.
  expect(await reply(before)).toBe("+PONG\r\n");
  name.pointAt({ host: "127.0.0.1", port: (other.address() as AddressInfo).port });
  expect(await reply(await connection(name))).toBe("elsewhere");
  before.write("PING\r\n");
  expect(await reply(before)).toBe("+PONG\r\n");
});
