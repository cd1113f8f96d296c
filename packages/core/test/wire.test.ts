import { createServer, type Server } from "node:http";
import { GetRecordsCommand, KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { Encoder, Tag } from "cbor-x";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { NoRoomError } from "../src/kinesis/records-page.ts";
import { overrideCodec, type WireReply } from "../src/kinesis/wire/middleware.ts";
import { Wire, type WireOption } from "../src/kinesis/wire/wire.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { until } from "./support/until.ts";
import { World } from "./support/world.ts";

const MIB = 2 ** 20;
const JSON_TYPE = "application/x-amz-json-1.1";
const CBOR_TYPE = "application/x-amz-cbor-1.1";
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const AT = 1_790_000_000_123;
const PAGE = {
  Records: Array.from({ length: 5 }, (_, i) => ({
    SequenceNumber: `49${i}`.padEnd(56, "0"),
    ApproximateArrivalTimestamp: new Tag(AT, 1),
    Data: Buffer.from(`record ${i}`),
    PartitionKey: `key ${i}`,
  })),
  NextShardIterator: "BBBB",
  MillisBehindLatest: 0,
};
const IN_JSON = JSON.stringify({
  ...PAGE,
  Records: PAGE.Records.map((record) => ({
    ...record,
    Data: record.Data.toString("base64"),
    ApproximateArrivalTimestamp: AT / 1000,
  })),
});
const IN_CBOR = encoder.encode(PAGE);

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
}
const okJson: Answer = { status: 200, type: JSON_TYPE, body: IN_JSON };
const okCbor: Answer = { status: 200, type: CBOR_TYPE, body: IN_CBOR };
const refusal = (status: number, name: string): Answer => ({
  status,
  type: JSON_TYPE,
  body: JSON.stringify({ __type: name, message: "no" }),
});

let server: Server;
let client: KinesisClient;
let asked: string[] = [];
let answer: (contentType: string) => Answer = () => okJson;

beforeAll(async () => {
  server = createServer((request, response) => {
    const type = String(request.headers["content-type"]);
    asked.push(type === CBOR_TYPE ? "cbor" : "json");
    request.resume().on("end", () => {
      const given = answer(type);
      response.writeHead(given.status, { "content-type": given.type });
      response.end(given.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  client = new KinesisClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
  });
});

beforeEach(() => (asked = []));

afterAll(() => {
  client.destroy();
  server.close();
});

function wireOf(option: WireOption): {
  read: () => Promise<number>;
  counter: MemoryCounter;
  logger: MemoryLogger;
} {
  const counter = new MemoryCounter();
  const logger = new MemoryLogger();
  const telemetry = new Telemetry({ counter, logger }, { stream: "s", application: "a" });
  const wire = new Wire(option, telemetry);
  const read = async (): Promise<number> => {
    const input = { ShardIterator: "AAAA" };
    const { records } = await wire.getRecords(
      input,
      (command) => client.send(command),
      () => {},
    );
    return records.length;
  };
  return { read, counter, logger };
}

test.each([
  ["auto", "cbor"],
  ["cbor", "cbor"],
  ["json", "json"],
  ["sdk", "json"],
] as const)("%s asks in %s", async (option, protocol) => {
  answer = (type) => (type === CBOR_TYPE ? okCbor : okJson);
  const { read } = wireOf(option);
  expect(await read()).toBe(5);
  expect(asked).toEqual([protocol]);
});

const NOT_UNDERSTOOD: readonly (readonly [string, Answer])[] = [
  ["CBOR that is not complete", { ...okCbor, body: IN_CBOR.subarray(0, 50) }],
  ["a SerializationException", refusal(400, "SerializationException")],
  ["an UnknownOperationException", refusal(400, "UnknownOperationException")],
  ["an unsupported media type", { status: 415, type: "text/plain", body: "" }],
  [
    "a page that makes no sense",
    { ...okCbor, body: encoder.encode({ ...PAGE, Records: [{ ...PAGE.Records[0], Data: {} }] }) },
  ],
];

test.each(NOT_UNDERSTOOD)(
  "auto: %s leads to JSON for good, once it was answered; that is logged and counted once",
  async (_name, refused) => {
    answer = (type) => (type === CBOR_TYPE ? refused : okJson);
    const { read, counter, logger } = wireOf("auto");
    expect(await read()).toBe(5);
    expect(asked).toEqual(["cbor", "json"]);
    expect(await read()).toBe(5);
    expect(asked).toEqual(["cbor", "json", "json"]);
    expect(counter.total("wire_fallbacks")).toBe(1);
    expect(logger.find("warn", /does not speak CBOR/)).toHaveLength(1);
  },
);

test.each(NOT_UNDERSTOOD)("auto: %s in JSON too proves nothing", async (_name, refused) => {
  answer = (type) => (type === CBOR_TYPE ? refused : refusal(400, "ExpiredIteratorException"));
  const { read, counter } = wireOf("auto");
  await expect(read()).rejects.toMatchObject({ name: "ExpiredIteratorException" });
  expect(counter.total("wire_fallbacks")).toBe(0);
  answer = (type) => (type === CBOR_TYPE ? okCbor : okJson);
  asked = [];
  expect(await read()).toBe(5);
  expect(asked).toEqual(["cbor"]);
});

test.each([
  ["an outage", refusal(500, "InternalFailure")],
  ["an outage that looks like a matter of encoding", refusal(500, "SerializationException")],
  ["a load balancer's page", { status: 503, type: "text/html", body: "<html></html>" }],
  ["a captive portal's page", { status: 200, type: "text/html", body: "<html></html>" }],
  ["a throttle", refusal(400, "ProvisionedThroughputExceededException")],
  ["a reply in JSON that breaks off", { ...okJson, body: IN_JSON.slice(0, 50) }],
] satisfies [string, Answer][])("auto: %s is no reason for JSON", async (_name, given) => {
  answer = (type) => (type === CBOR_TYPE ? given : okJson);
  const { read } = wireOf("auto");
  await expect(read()).rejects.toBeInstanceOf(Error);
  expect(asked).toEqual(["cbor"]);
});

test("auto: a reply in JSON to a request in CBOR is simply read", async () => {
  answer = () => okJson;
  const { read, counter } = wireOf("auto");
  expect(await read()).toBe(5);
  expect(await read()).toBe(5);
  expect(asked).toEqual(["cbor", "cbor"]);
  expect(counter.total("wire_fallbacks")).toBe(0);
});

test("cbor: no other way is taken", async () => {
  answer = (type) => (type === CBOR_TYPE ? refusal(400, "SerializationException") : okJson);
  await expect(wireOf("cbor").read()).rejects.toMatchObject({ name: "SerializationException" });
  expect(asked).toEqual(["cbor"]);
});

test("a client that runs no middleware is taken at its word", async () => {
  const world = await World.of();
  await world.put("a", "1", "2");
  for (const wire of ["auto", "cbor", "json", "sdk"] as const) {
    const run = await world.start({ wire, start: "TRIM_HORIZON", application: wire });
    expect(run.texts).toEqual(["1", "2"]);
  }
});

test.each(["cbor", "json", "sdk"] as const)(
  "%s: a reply is reported before its body is read, and its body is not read if that is refused",
  async (option) => {
    const told: number[] = [];
    let closed = 0;
    const page = Buffer.alloc(8 * 2 ** 20, " ");
    const large = createServer((request, response) => {
      // A connection whose reply was read is kept.
      request.socket.once("close", () => (closed += 1));
      request.resume().on("end", () => {
        const type = String(request.headers["content-type"]);
        response.writeHead(200, { "content-type": type, "content-length": page.byteLength });
        response.end(page);
      });
    });
    await new Promise<void>((resolve) => large.listen(0, "127.0.0.1", resolve));
    const { port } = large.address() as { port: number };
    const own = new KinesisClient({
      endpoint: `http://127.0.0.1:${port}`,
      region: "us-east-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: new NodeHttpHandler(),
    });
    onTestFinished(() => {
      own.destroy();
      large.close();
    });
    const telemetry = new Telemetry({}, { stream: "s", application: "a" });
    const reading = new Wire(option, telemetry).getRecords(
      { ShardIterator: "AAAA" },
      (command) => own.send(command),
      (bytes) => {
        told.push(bytes);
        throw new NoRoomError(bytes);
      },
    );
    await expect(reading).rejects.toBeInstanceOf(NoRoomError);
    // Once: it is not tried again.
    expect(told).toEqual([option === "cbor" ? page.byteLength : 2 * page.byteLength]);
    await until(() => closed === 1);
  },
);

test.each([
  ["cbor", 200],
  ["json", 200],
  ["json", 500],
] as const)(
  "%s: a reply of %i that is longer than any is given up, whatever memory there is",
  async (option, status) => {
    answer = (type) => ({ status, type, body: Buffer.alloc(40 * MIB, " ") });
    const telemetry = new Telemetry({}, { stream: "s", application: "a" });
    let most = 0;
    const page = new Wire(option, telemetry).getRecords(
      { ShardIterator: "AAAA" },
      (command) => client.send(command),
      (bytes) => {
        most = Math.max(most, bytes);
      },
    );
    await expect(page).rejects.toMatchObject({ name: "UnexpectedReplyError" });
    expect(most).toBeLessThanOrEqual(64 * MIB);
  },
);

test.each(["cbor", "json"] as const)(
  "%s: each part of a reply is a sign of life",
  async (option) => {
    const parts = Array.from({ length: 5 }, () => Buffer.alloc(1000, " "));
    let told = 0;
    let next = (): void => {};
    const dripping = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": JSON_TYPE });
        next = () => {
          if (response.writableEnded) return;
          const part = parts.pop();
          if (part === undefined) response.end(IN_JSON);
          else response.write(part);
        };
        next();
      });
    });
    await new Promise<void>((resolve) => dripping.listen(0, "127.0.0.1", resolve));
    const { port } = dripping.address() as { port: number };
    const own = new KinesisClient({
      endpoint: `http://127.0.0.1:${port}`,
      region: "us-east-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: new NodeHttpHandler(),
    });
    onTestFinished(() => {
      own.destroy();
      dripping.close();
    });
    const telemetry = new Telemetry({}, { stream: "s", application: "a" });
    const { records } = await new Wire(option, telemetry).getRecords(
      { ShardIterator: "AAAA" },
      (command) => own.send(command),
      () => {
        told += 1;
        next();
      },
    );
    expect(records).toHaveLength(5);
    expect(told).toBeGreaterThanOrEqual(6);
  },
);

test("the data are views on the page, and a copy stands alone", async () => {
  answer = (type) => (type === CBOR_TYPE ? okCbor : okJson);
  const command = new GetRecordsCommand({ ShardIterator: "AAAA" });
  let reply: WireReply | undefined;
  overrideCodec(command, "cbor", {
    onBytes: () => {},
    onReply: (given) => (reply = given),
  });
  await client.send(command);
  const { records } = reply!;
  const [first, second] = [0, 1].map((index) => records.record(index, "shardId-0", 0).data);
  expect(first!.buffer).toBe(second!.buffer);
  expect(first!.buffer.byteLength).toBe(IN_CBOR.byteLength);
});

test("whatever bytes come, it is the page that was sent or an error, and the process lives on", async () => {
  const sent = new Map(PAGE.Records.map((record) => [record.SequenceNumber, record]));
  const { read } = wireOf("cbor");
  const mutation = fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), {
    minLength: 1,
    maxLength: 4,
  });
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([Buffer.of(0xa4), bytes])),
    fc.nat({ max: IN_CBOR.length }).map((length) => IN_CBOR.subarray(0, length)),
    mutation.map((changes) => {
      const mutated = Buffer.from(IN_CBOR);
      for (const { at, byte } of changes) mutated[at % mutated.length] = byte;
      return mutated;
    }),
    mutation.map((changes) => {
      const mutated = Buffer.from(IN_JSON);
      for (const { at, byte } of changes) mutated[at % mutated.length] = byte;
      return mutated;
    }),
  );
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      answer = () => ({ status: 200, type: CBOR_TYPE, body });
      const count = await read().catch((error: unknown) => {
        expect(error).toBeInstanceOf(Error);
        return 0;
      });
      expect(count).toBeLessThanOrEqual(sent.size);
    }),
    { numRuns: 2000 },
  );
});
