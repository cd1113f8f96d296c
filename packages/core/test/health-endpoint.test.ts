import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { FakeClock } from "@kc/emulator";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { expect, onTestFinished, test } from "vitest";
import { Consumer, type ConsumerStatus } from "../src/index.ts";
import { SELF_SIGNED } from "./support/certificate.ts";
import { until } from "./support/until.ts";

/**
 * The unmodified SDK over real sockets, against endpoints that are none. The consumer's own waits
 * go by a virtual clock.
 */
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

interface Trouble {
  readonly what: string;
  readonly endpoint: () => Promise<string>;
  readonly error: RegExp;
  /** The first try hangs: it ends by its time-out. */
  readonly hangs?: boolean;
}

const TROUBLES: readonly Trouble[] = [
  { what: "a refused port", endpoint: refused, error: /ECONNREFUSED/ },
  { what: "a reply that never comes", endpoint: () => serving(() => {}), hangs: true, error: /TimeoutError.*DescribeStreamSummary/s }, // prettier-ignore
  { what: "an HTML page with 503", endpoint: () => serving(html(503)), error: /./ },
  { what: "an HTML page with 200", endpoint: () => serving(html(200)), error: /./ },
  { what: "a wrong secret", endpoint: () => serving(wrongSecret), error: /InvalidSignatureException/ }, // prettier-ignore
  { what: "a certificate that nobody trusts", endpoint: selfSigned, error: /self-signed/i },
];

test.each(TROUBLES)("$what: alive, not ready, and the cause is reported", async (trouble) => {
  const clock = new FakeClock();
  const client = new KinesisClient({
    endpoint: await trouble.endpoint(),
    region: "us-east-1",
    credentials,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
  });
  onTestFinished(() => client.destroy());
  const consumer = new Consumer({ stream: "orders", client, clock });
  const events = consumer.events();
  const stop = new AbortController();
  const scan = consumer.scan(() => {}, { signal: stop.signal });
  if (trouble.hangs === true) await clock.advance(30_000);
  const status = await troubled(consumer);

  expect(status).toMatchObject({ state: "running", stage: "describing", shards: [] });
  expect(status.failingCalls).toEqual([
    {
      service: "kinesis",
      operation: "DescribeStreamSummary",
      error: expect.stringMatching(trouble.error),
      failures: 1,
      forMs: 0,
    },
  ]);
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/^the stream is not described yet.*DescribeStreamSummary/)],
  });
  expect((await events.next()).value).toEqual({ kind: "scan-started" });
  expect((await events.next()).value).toMatchObject({ kind: "stream-failing" });
  stop.abort();
  await scan;
});

test("no credentials: alive, not ready, and the cause is reported", async () => {
  const provider = async (): Promise<never> => {
    throw Object.assign(new Error("Could not load credentials from any providers"), {
      name: "CredentialsProviderError",
    });
  };
  const clock = new FakeClock();
  const endpoint = await refused();
  const client = new KinesisClient({ endpoint, region: "us-east-1", credentials: provider });
  onTestFinished(() => client.destroy());
  const consumer = new Consumer({ stream: "orders", client, clock });
  const stop = new AbortController();
  const scan = consumer.scan(() => {}, { signal: stop.signal });

  const { stage, failingCalls } = await troubled(consumer);
  expect(stage).toBe("describing");
  expect(failingCalls[0]!.error).toMatch(/CredentialsProviderError: Could not load credentials/);
  expect(consumer.health()).toMatchObject({ alive: true, ready: false });
  stop.abort();
  await scan;
});

/** Waits until a first try has failed. */
async function troubled(consumer: Consumer): Promise<ConsumerStatus> {
  return until(() => {
    const status = consumer.status();
    return status.failingCalls.length > 0 ? status : undefined;
  });
}

function html(status: number): RequestListener {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "text/html" });
    response.end("<html>\n<body>Please log in</body>\n</html>\n");
  };
}

const wrongSecret: RequestListener = (_request, response) => {
  const message = "The request signature we calculated does not match the one you provided.";
  response.writeHead(400, { "content-type": "application/x-amz-json-1.1" });
  response.end(JSON.stringify({ __type: "InvalidSignatureException", message }));
};

async function serving(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(listener))}`;
}

async function selfSigned(): Promise<string> {
  return `https://127.0.0.1:${await listening(createSecureServer(SELF_SIGNED, html(200)))}`;
}

/** A port that was just closed. */
async function refused(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

async function listening(server: Server & { closeAllConnections(): void }): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
