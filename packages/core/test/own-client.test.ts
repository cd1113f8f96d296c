import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type TLSSocket } from "node:tls";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ExpectedWarnings } from "../../../vitest.warnings.ts";
import { Consumer } from "../src/index.ts";
import { connectsForEachCall } from "../src/kinesis/own-client.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { World } from "./support/world.ts";

const SHARDS = 4;
// Node says once that certificates are not verified.
const warnings: ExpectedWarnings = ["Warning"];
const unverified = { timeout: 30_000, meta: { warnings } };

test(
  "a client of the consumer's own keeps its TLS connections for all of its calls",
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
    const consumer = new Consumer({ stream: "orders", counter, logger });
    const stop = new AbortController();
    const scan = consumer.scan(() => {}, { signal: stop.signal });
    await vi.waitUntil(() => counter.total("empty_polls") >= 6 * SHARDS, { timeout: 20_000 });
    stop.abort();
    await scan;

    expect(front.connections()).toBeLessThanOrEqual(2 * SHARDS);
    expect(logger.find("warn", /opens a connection for each call/)).toEqual([]);
  },
);

test("a client that opens a connection for each call is told of, once", async () => {
  const http2 = new KinesisClient({ region: "us-east-1" });
  const http1 = new KinesisClient({ region: "us-east-1", requestHandler: new NodeHttpHandler() });
  expect(connectsForEachCall(http2)).toBe(true);
  expect([http1, {}, { config: null }].map(connectsForEachCall)).toEqual([false, false, false]);

  const world = await World.of();
  const client = { config: http2.config, send: world.kinesis.send.bind(world.kinesis) };
  const consumer = world.consumer({ client });
  for (let scans = 0; scans < 2; scans += 1) await (await world.run(consumer)).stop();
  expect(world.logger.find("warn", /opens a connection for each call/)).toHaveLength(1);
  http1.destroy();
  http2.destroy();
});

/** TLS in front of a port, by a certificate made for it; speaks HTTP/2 as well as HTTP/1.1. */
async function tlsBefore(port: number): Promise<{ url: string; connections: () => number }> {
  const directory = mkdtempSync(join(tmpdir(), "kc-tls-"));
  const [keyFile, certFile] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", keyFile];
  const name = ["-subj", "/CN=localhost", "-days", "2", "-out", certFile];
  execFileSync("openssl", ["req", "-x509", "-nodes", ...key, ...name], { stdio: "ignore" });
  const certificate = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  rmSync(directory, { recursive: true });

  let connections = 0;
  const sockets = new Set<TLSSocket>();
  const server = createServer({ ...certificate, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
    connections += 1;
    sockets.add(socket);
    const behind = connect(port, "127.0.0.1");
    socket.pipe(behind).pipe(socket);
    socket.on("error", () => behind.destroy());
    behind.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port: own } = server.address() as { port: number };
  return { url: `https://127.0.0.1:${own}`, connections: () => connections };
}
