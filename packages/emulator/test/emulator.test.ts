import { connect } from "node:http2";
import { createServer } from "node:net";
import { once } from "node:events";
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  type KinesisClientConfig,
  ListStreamsCommand,
  PutRecordCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterEach, describe, expect, it } from "vitest";
import { type Emulator, type EmulatorOptions, FakeClock, startEmulator } from "../src/index.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(options: EmulatorOptions = {}): Promise<Emulator> {
  const emulator = await startEmulator({ streams: { s: 1 }, ...options });
  cleanups.push(() => emulator.close());
  return emulator;
}

function clientOf(emulator: Emulator, config: KinesisClientConfig = {}): KinesisClient {
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
    ...config,
  });
  cleanups.push(() => client.destroy());
  return client;
}

const post = (url: string, init: RequestInit): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "Kinesis_20131202.ListStreams",
    },
    body: "{}",
    ...init,
  });

const handlers: [string, () => KinesisClientConfig][] = [
  ["HTTP/2", () => ({})],
  ["HTTP/1.1", () => ({ requestHandler: new NodeHttpHandler() })],
];

describe.each(handlers)("over %s", (_, config) => {
  it("serves the streams that emulator.kinesis holds", async () => {
    const emulator = await start();
    const Data = Buffer.from("put without HTTP");
    await emulator.kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    const client = clientOf(emulator, config());
    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        StreamName: "s",
        ShardId: "shardId-000000000000",
        ShardIteratorType: "TRIM_HORIZON",
      }),
    );
    const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }));
    expect(Buffer.from(Records![0]!.Data!).toString()).toBe("put without HTTP");
    expect(emulator.kinesis.countOf("GetRecords")).toBe(1);
  });

  it("breaks the connection on demand, and serves the next call", async () => {
    const emulator = await start();
    const client = clientOf(emulator, config());
    const command = new ListStreamsCommand({});
    emulator.kinesis.faults.drop({ call: 2 });
    await client.send(command);
    await expect(client.send(command)).rejects.not.toHaveProperty("$response");
    await client.send(command);
  });

  it("answers with an HTML page on demand", async () => {
    const emulator = await start();
    emulator.kinesis.faults.htmlError({ status: 503 });
    const error: unknown = await clientOf(emulator, config())
      .send(new ListStreamsCommand({}))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ $metadata: { httpStatusCode: 503 } });
  });

  it("makes the SDK retry what is throttled", async () => {
    const emulator = await start();
    emulator.kinesis.faults.fail({
      operation: "DescribeStreamSummary",
      error: "ProvisionedThroughputExceededException",
      times: 2,
    });
    const client = clientOf(emulator, { ...config(), maxAttempts: 3 });
    const reply = await client.send(new DescribeStreamSummaryCommand({ StreamName: "s" }));
    expect(reply.$metadata.attempts).toBe(3);
  });

  it("sends replies by its latency and bandwidth, and by the clock", async () => {
    const clock = new FakeClock();
    const emulator = await start({ clock, latency: 100, bandwidth: 1000 });
    const reply = clientOf(emulator, config()).send(new ListStreamsCommand({}));
    let replied = false;
    void reply.then(() => (replied = true));
    while (!replied) {
      while (!replied && clock.pendingTimers === 0) await clock.yield();
      if (!replied) await clock.advance(1);
    }
    // 100 ms, and a millisecond for each byte of a body of more than 200.
    expect(clock.monotonic()).toBeGreaterThan(300);
  });

  it("leaves a call without a reply on demand, and serves the next one", async () => {
    const emulator = await start();
    const client = clientOf(emulator, config());
    emulator.kinesis.faults.hang();
    const gone = new AbortController();
    const call = client.send(new ListStreamsCommand({}), { abortSignal: gone.signal });
    const outcome = call.catch((error: unknown) => error);
    while (emulator.kinesis.countOf("ListStreams") === 0) await new Promise(setImmediate);
    await client.send(new ListStreamsCommand({}));
    gone.abort();
    expect(await outcome).toMatchObject({ name: "AbortError" });
  });

  it("stops carrying out a delayed call whose client has gone", async () => {
    const clock = new FakeClock();
    const emulator = await start({ clock });
    emulator.kinesis.faults.delay({ ms: 60_000 });
    const gone = new AbortController();
    const reply = clientOf(emulator, config()).send(new ListStreamsCommand({}), {
      abortSignal: gone.signal,
    });
    const outcome = reply.catch((error: unknown) => error);
    while (clock.pendingTimers === 0) await clock.yield();
    gone.abort();
    expect(await outcome).toMatchObject({ name: "AbortError" });
    while (clock.pendingTimers > 0) await clock.yield();
  });
});

it("dates its replies by the clock", async () => {
  const clock = new FakeClock({ now: new Date("2031-02-03T04:05:06Z") });
  const emulator = await start({ clock });
  await clock.advance(60_000);
  const response = await post(emulator.url, {});
  expect(response.headers.get("date")).toBe("Mon, 03 Feb 2031 04:06:06 GMT");
});

describe("what is no request of its protocol", () => {
  it.each([
    ["another content type", { headers: { "content-type": "text/plain" } }, 404, "UnknownOp"],
    ["another method", { method: "PUT" }, 403, "AccessDenied"],
    ["a body that is no JSON", { body: "{" }, 400, "SerializationException"],
    ["a body that is no object", { body: "[]" }, 400, "SerializationException"],
    ["a member of the wrong type", { body: '{"Limit":"1"}' }, 400, "SerializationException"],
    ["a member out of bounds", { body: '{"Limit":0}' }, 400, "ValidationException"],
    ["too long a body", { body: " ".repeat(16 * 1024 * 1024 + 1) }, 413, "TooLarge"],
  ])("is refused: %s", async (_, init, status, text) => {
    const emulator = await start();
    const response = await post(emulator.url, init);
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(text);
  });

  it.each([["AAA"], ["A*=="], [1]])("is refused: %j as base64", async (Data) => {
    const emulator = await start();
    const response = await post(emulator.url, {
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "Kinesis_20131202.PutRecord",
      },
      body: JSON.stringify({ StreamName: "s", PartitionKey: "k", Data }),
    });
    expect(await response.json()).toMatchObject({ __type: "SerializationException" });
  });
});

describe("close", () => {
  it("ends open sessions of both protocols, and may be called again", async () => {
    const emulator = await start();
    const session = connect(emulator.url);
    await once(session, "connect");
    const ended = once(session, "close");
    await post(emulator.url, {});
    await emulator.close();
    await ended;
    await emulator.close();
    await expect(post(emulator.url, {})).rejects.toThrow("fetch failed");
  });

  it("is what `await using` calls", async () => {
    const emulator = await start();
    await emulator[Symbol.asyncDispose]();
    await expect(post(emulator.url, {})).rejects.toThrow("fetch failed");
  });
});

it.each(["0.0.0.0", "::"])(
  "has a URL that clients can connect to where it listens on %s",
  async (host) => {
    const emulator = await start({ host });
    expect(emulator.url).toMatch(/^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
    expect((await fetch(`${emulator.url}/health`)).status).toBe(200);
  },
);

it("rejects when it cannot listen", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  cleanups.push(() => other.close());
  const address = other.address();
  const port = typeof address === "object" ? address!.port : 0;
  await expect(startEmulator({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
