import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import {
  constants,
  createSecureServer as createHttp2Server,
  createServer as createPlainHttp2Server,
} from "node:http2";
import { createServer as createSecureServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  type KinesisClientConfig,
} from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { expect, onTestFinished, test, vi } from "vitest";
import { Consumer, type KcError } from "../src/index.ts";
import { callFailure } from "../src/kinesis/call-failure.ts";
import { classify, type KinesisFailure } from "../src/kinesis/classify.ts";
import { sdkTarget } from "../src/sdk-target.ts";
import { SELF_SIGNED } from "./support/certificate.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { until } from "./support/until.ts";

/** The unmodified SDK over real sockets, against endpoints that do not answer as Kinesis does. */
interface Case {
  readonly what: string;
  readonly endpoint: () => Promise<string>;
  /** @default HTTP/1.1 */
  readonly http2?: boolean;
  readonly code: KcError["code"];
  /** Whether it is tried again. @default not looked at */
  readonly failure?: KinesisFailure;
  /** Parts of the message, beside operation, stream, Region and endpoint. */
  readonly says: readonly RegExp[];
}

const ADDS_ITS_ISSUER = /NODE_EXTRA_CA_CERTS/;

const CASES: readonly Case[] = [
  {
    what: "an endpoint that speaks HTTP/1.1 only, to a client of HTTP/2",
    endpoint: () => serving(page(200)),
    http2: true,
    code: "KINESIS_FAILED",
    failure: "not-http2",
    says: [/The endpoint does not speak HTTP\/2: .* KinesisHttpHandler/],
  },
  {
    what: "an endpoint that speaks HTTP/1.1 over TLS only, to a client of HTTP/2",
    endpoint: selfSigned,
    http2: true,
    code: "KINESIS_FAILED",
    failure: "not-http2",
    says: [/The endpoint does not speak HTTP\/2: .* KinesisHttpHandler/],
  },
  {
    what: "an endpoint that answers HTTP/2 with HTML and no head, as Python's server does",
    endpoint: () =>
      answeringRaw("<!DOCTYPE HTML><html><body>Invalid HTTP version (2.0)</body></html>"),
    http2: true,
    code: "KINESIS_FAILED",
    failure: "not-http2",
    says: [/KinesisHttpHandler/],
  },
  {
    what: "an endpoint that asks for HTTP/1.1 in HTTP/2",
    endpoint: () => resettingStreams(constants.NGHTTP2_HTTP_1_1_REQUIRED),
    http2: true,
    code: "KINESIS_FAILED",
    failure: "not-http2",
    says: [/KinesisHttpHandler/],
  },
  {
    what: "an endpoint that closes the connection at the first bytes of HTTP/2",
    endpoint: () => answeringRaw(""),
    http2: true,
    code: "KINESIS_FAILED",
    failure: "transient",
    says: [/If the endpoint does not speak HTTP\/2, .* KinesisHttpHandler/],
  },
  {
    what: "an endpoint that resets a stream of HTTP/2",
    endpoint: () => resettingStreams(constants.NGHTTP2_PROTOCOL_ERROR),
    http2: true,
    code: "KINESIS_FAILED",
    failure: "transient",
    says: [/NGHTTP2_PROTOCOL_ERROR\)$/],
  },
  {
    what: "a certificate that nobody trusts",
    endpoint: selfSigned,
    code: "KINESIS_FAILED",
    failure: "unknown",
    says: [/self-signed certificate/, ADDS_ITS_ISSUER],
  },
  {
    what: "a certificate that nobody trusts, over HTTP/2",
    endpoint: selfSignedHttp2,
    http2: true,
    code: "KINESIS_FAILED",
    failure: "unknown",
    says: [/self-signed certificate/, ADDS_ITS_ISSUER],
  },
  {
    what: "a port that does not speak TLS",
    endpoint: async () => (await serving(page(200))).replace("http:", "https:"),
    code: "KINESIS_FAILED",
    says: [/does not speak TLS/],
  },
  {
    what: "a redirect",
    endpoint: () => serving(page(301)),
    code: "KINESIS_FAILED",
    says: [/HTTP 301/, /redirects: check the Region and the endpoint/],
  },
  {
    what: "an HTML page",
    endpoint: () => serving(page(200)),
    code: "KINESIS_FAILED",
    says: [/HTTP 200/, /a proxy or another server/],
  },
  {
    what: "an HTML page of a gateway that fails",
    endpoint: () => serving(page(502)),
    code: "KINESIS_FAILED",
    says: [/HTTP 502/, /a proxy or another server/],
  },
  {
    what: "a missing right",
    endpoint: () => serving(refusal("AccessDeniedException")),
    code: "KINESIS_ACCESS_DENIED",
    says: [/refused for 60 s/, /HTTP 400/, /Grant kinesis:DescribeStreamSummary/],
  },
  {
    what: "a wrong access key",
    endpoint: () => serving(refusal("UnrecognizedClientException")),
    code: "KINESIS_ACCESS_DENIED",
    says: [/HTTP 400/, /access key or its secret is wrong/],
  },
  {
    what: "a stream that does not exist",
    endpoint: async () => {
      const emulator = await startEmulator();
      onTestFinished(() => emulator.close());
      return emulator.url;
    },
    code: "STREAM_NOT_FOUND",
    says: [/credentials' account and Region us-east-1/, /HTTP 400/, /Check the name, the Region/],
  },
];

test.each(CASES)(
  "$what: operation, stream, Region, endpoint, status, and what to do",
  async ({ endpoint, http2, code, failure, says }) => {
    const url = await endpoint();
    const error = await failureOf({
      endpoint: url,
      region: "us-east-1",
      ...(http2 ? {} : { requestHandler: new NodeHttpHandler() }),
    });
    expect(error.code).toBe(code);
    if (failure !== undefined) expect(classify(error.cause)).toBe(failure);
    const where = `DescribeStreamSummary on stream orders; Region us-east-1; endpoint ${url}`;
    for (const part of [where, ...says]) expect(error.message).toMatch(part);
    expect(error.message).not.toMatch(/\[object Object\]/);
  },
);

test("the endpoint of the environment stands in the message", async () => {
  const url = await serving(page(301));
  vi.stubEnv("AWS_ENDPOINT_URL", url);
  onTestFinished(() => void vi.unstubAllEnvs());
  const requestHandler = new NodeHttpHandler();
  expect(await failureOf({ region: "eu-west-1", requestHandler })).toMatchObject({
    message: expect.stringContaining(`Region eu-west-1; endpoint ${url}`),
  });
});

test("the first line of the log names the Region and the endpoint", async () => {
  const emulator = await startEmulator({ streams: { orders: 1 } });
  onTestFinished(() => emulator.close());
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "eu-west-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    requestHandler: new NodeHttpHandler(),
  });
  onTestFinished(() => client.destroy());
  const logger = new MemoryLogger();
  const stop = new AbortController();
  const consumer = new Consumer({ stream: "orders", client, logger });
  const scan = consumer.scan(() => {}, { signal: stop.signal });
  const begun = await until(() => logger.find("info", /^the scan begins$/)[0]);
  stop.abort();
  await scan;
  expect(begun.fields).toMatchObject({ region: "eu-west-1", endpoint: emulator.url });
});

test("an ARN's account and Region stand in the message", () => {
  const stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
  const notFound = Object.assign(new Error("no"), { name: "ResourceNotFoundException" });
  const call = { operation: "DescribeStreamSummary", target: { stream }, triedForMs: 0 };
  expect(callFailure(call, notFound).message).toContain(
    `stream ${stream} does not exist in account 123456789012 and Region eu-west-1`,
  );
});

test("a client without a Region is an option that is wrong", async () => {
  for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION"]) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_CONFIG_FILE", "/nowhere");
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await failureOf({})).toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringMatching(/^client: .*AWS_REGION/),
  });
});

test("a plain object that was thrown is described by its members", () => {
  const call = { operation: "ListShards", target: { stream: "orders" }, triedForMs: 0 };
  expect(callFailure(call, { reason: "quota", left: 0 }).message).toContain(
    "{ reason: 'quota', left: 0 }",
  );
});

/** The error that a consumer reports after it has tried for a minute. */
async function failureOf(config: KinesisClientConfig): Promise<KcError> {
  const client = new KinesisClient({
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
    ...config,
  });
  onTestFinished(() => client.destroy());
  const operation = "DescribeStreamSummary";
  const command = new DescribeStreamSummaryCommand({ StreamName: "orders" });
  const thrown = await client.send(command).then(
    () => expect.fail("the call was answered"),
    (error: unknown) => error,
  );
  const target = { stream: "orders", ...(await sdkTarget(client)) };
  return callFailure({ operation, target, triedForMs: 60_000 }, thrown);
}

function page(status: number): RequestListener {
  return (_request, response) => {
    response.writeHead(status, { "content-type": "text/html", location: "https://example.com" });
    response.end("<html>sorry</html>");
  };
}

function refusal(type: string): RequestListener {
  return (_request, response) => {
    response.writeHead(400, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify({ __type: type, message: "no" }));
  };
}

async function serving(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(listener))}`;
}

async function selfSigned(): Promise<string> {
  return `https://127.0.0.1:${await listening(createSecureServer(SELF_SIGNED, page(200)))}`;
}

async function selfSignedHttp2(): Promise<string> {
  return `https://127.0.0.1:${await listening(createHttp2Server(SELF_SIGNED))}`;
}

/** Answers the first bytes of a connection with the text, and closes it. */
async function answeringRaw(text: string): Promise<string> {
  const server = createTcpServer((socket) => socket.once("data", () => socket.end(text)));
  return `http://127.0.0.1:${await listening(server)}`;
}

/** Speaks HTTP/2, and resets each stream. */
async function resettingStreams(code: number): Promise<string> {
  const server = createPlainHttp2Server();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.close(code);
  });
  return `http://127.0.0.1:${await listening(server)}`;
}

async function listening(server: Server & { closeAllConnections?: () => void }): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}
