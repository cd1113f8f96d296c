import { connect } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttp2Handler, NodeHttpHandler } from "@smithy/node-http-handler";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ExpectedWarnings } from "../../../vitest.warnings.ts";
import { Consumer, KinesisHttpHandler } from "../src/index.ts";
import { SELF_SIGNED } from "./support/certificate.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { until } from "./support/until.ts";
import { World } from "./support/world.ts";

const SHARDS = 4;
// Node says once that certificates are not verified.
const warnings: ExpectedWarnings = ["Warning"];
const unverified = { meta: { warnings } };
const CLOSES = /opens a connection for each call/;

test(
  "a client of the consumer's own keeps its TLS connections, and resumes their sessions once they closed",
  unverified,
  async () => {
    const emulator = await startEmulator({ streams: { orders: SHARDS } });
    onTestFinished(() => emulator.close());
    const front = await tlsBefore(Number(new URL(emulator.url).port));
    vi.stubEnv("AWS_ENDPOINT_URL", front.url);
    vi.stubEnv("AWS_REGION", "us-east-1");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    // The certificate is nobody's.
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());

    const counter = new MemoryCounter();
    const logger = new MemoryLogger();
    const polls = async (count: number): Promise<void> => {
      const enough = counter.total("empty_polls") + count;
      await until(() => counter.total("empty_polls") >= enough);
    };
    const consumer = new Consumer({ stream: "orders", counter, logger });
    const stop = new AbortController();
    const scan = consumer.scan(() => {}, { signal: stop.signal });
    await polls(6 * SHARDS);
    const [connections, resumed] = [front.connections(), front.resumed()];
    front.cut();
    await polls(2 * SHARDS);
    stop.abort();
    await scan;

    expect(connections).toBeLessThanOrEqual(2 * SHARDS);
    expect(front.connections()).toBeGreaterThan(connections);
    expect(front.resumed() - resumed).toBe(front.connections() - connections);
    expect(logger.find("warn", CLOSES)).toEqual([]);
  },
);

test("a client that closes its connections is reported once, whatever consumers use it", async () => {
  const http2 = new KinesisClient({ region: "us-east-1" });
  onTestFinished(() => http2.destroy());
  const world = await World.of();
  const client = { config: http2.config, send: world.kinesis.send.bind(world.kinesis) };
  for (let consumers = 0; consumers < 2; consumers += 1) {
    const consumer = world.consumer({ client });
    for (let scans = 0; scans < 2; scans += 1) await (await world.run(consumer)).stop();
  }
  expect(world.logger.find("warn", CLOSES)).toHaveLength(1);
  expect(world.logger.find("warn", /requestHandler: new KinesisHttpHandler\(\)/)).toHaveLength(1);
});

test.each([
  ["is not there", () => undefined],
  ["is not a promise", () => "soon"],
  ["fails", () => Promise.reject(new Error("no profile"))],
])(
  "a handler of HTTP/2 whose configuration %s counts as the SDK's default",
  async (_what, options) => {
    const requestHandler = {
      metadata: { handlerProtocol: "h2" },
      get configProvider() {
        return options();
      },
    };
    const world = await World.of();
    const client = { config: { requestHandler }, send: world.kinesis.send.bind(world.kinesis) };
    await (await world.run(world.consumer({ client }))).stop();
    expect(world.logger.find("warn", CLOSES)).toHaveLength(1);
  },
);

test("a client that keeps its connections is not reported", async () => {
  const handlers = [
    new NodeHttpHandler(),
    new KinesisHttpHandler(),
    new NodeHttp2Handler(),
    new NodeHttp2Handler({}),
  ];
  const world = await World.of();
  for (const requestHandler of handlers) {
    const { config } = new KinesisClient({ region: "us-east-1", requestHandler });
    const client = { config, send: world.kinesis.send.bind(world.kinesis) };
    await (await world.run(world.consumer({ client }))).stop();
  }
  expect(world.logger.find("warn", CLOSES)).toEqual([]);
});

interface TlsFront {
  readonly url: string;
  connections(): number;
  /** Connections that resumed the session of an earlier one. */
  resumed(): number;
  /** Closes all open connections. */
  cut(): void;
}

/** TLS in front of a port; speaks HTTP/2 as well as HTTP/1.1. */
async function tlsBefore(port: number): Promise<TlsFront> {
  let connections = 0;
  let resumed = 0;
  const sockets = new Set<TLSSocket>();
  const server = createServer({ ...SELF_SIGNED, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
    connections += 1;
    if (socket.isSessionReused()) resumed += 1;
    sockets.add(socket);
    const behind = connect(port, "127.0.0.1");
    socket.pipe(behind).pipe(socket);
    socket.on("error", () => behind.destroy());
    behind.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  onTestFinished(() => {
    cut();
    server.close();
  });
  const { port: own } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${own}`,
    connections: () => connections,
    resumed: () => resumed,
    cut,
  };
}
