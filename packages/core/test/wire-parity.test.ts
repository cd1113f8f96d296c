import { createServer, type Server } from "node:http";
import {
  GetRecordsCommand,
  KinesisClient,
  type GetRecordsCommandOutput,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { Encoder, Tag } from "cbor-x";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KinesisHttpHandler } from "../src/index.ts";
import { classify } from "../src/kinesis/classify.ts";
import {
  overrideCodec,
  type WireProtocol,
  type WireReply,
} from "../src/kinesis/wire/middleware.ts";
import { PageCommands } from "../src/kinesis/wire/page-command.ts";
import { asOutput } from "./support/wire-output.ts";

/**
 * One reply, given to the SDK's own command and to ours: the same page, or the same error. The
 * SDK reads JSON alone, so a reply in CBOR is compared with its like in JSON.
 */
interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** The connection is cut after the body, which was announced to be so much longer. */
  readonly cut?: number;
}

const JSON_TYPE = { "content-type": "application/x-amz-json-1.1" };
const CBOR_TYPE = { "content-type": "application/x-amz-cbor-1.1" };
const REQUEST_ID = { "x-amzn-requestid": "6e5cc8b4-0000-4000-8000-000000000001" };
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const cbor = (value: unknown): Uint8Array => encoder.encode(value);
const AT = 1_790_000_000_123;

const json = {
  Records: [
    {
      SequenceNumber: "49".padEnd(56, "1"),
      ApproximateArrivalTimestamp: AT / 1000,
      Data: Buffer.from("héllo").toString("base64"),
      PartitionKey: "a-注文🦊",
      EncryptionType: "KMS",
    },
    {
      SequenceNumber: "49".padEnd(56, "2"),
      ApproximateArrivalTimestamp: AT / 1000,
      Data: "",
      PartitionKey: "b",
    },
  ],
  NextShardIterator: "AAAA",
  MillisBehindLatest: 86_400_000,
};
const inCbor = (arrival: unknown): object => ({
  ...json,
  Records: json.Records.map((record) => ({
    ...record,
    Data: Buffer.from(record.Data, "base64"),
    ApproximateArrivalTimestamp: arrival,
  })),
});
/** As streams without keys have them. */
const keyless = {
  ...json,
  Records: [
    json.Records[0]!,
    { ...json.Records[1]!, PartitionKey: undefined },
    { ...json.Records[1]!, PartitionKey: "" },
  ],
};
const keylessInCbor = {
  ...keyless,
  Records: keyless.Records.map(({ PartitionKey, ...record }) => ({
    ...record,
    // An encoder would write an undefined member as one that is there.
    ...(PartitionKey !== undefined && { PartitionKey }),
    Data: Buffer.from(record.Data, "base64"),
    ApproximateArrivalTimestamp: new Tag(AT, 1),
  })),
};
const closed = {
  Records: [],
  MillisBehindLatest: 0,
  ChildShards: [
    {
      ShardId: "shardId-000000000001",
      ParentShards: ["shardId-000000000000"],
      HashKeyRange: { StartingHashKey: "0", EndingHashKey: "1" },
    },
  ],
};
const error = (type: string, message = "no"): object => ({ __type: type, message });

const ok = (body: object): Reply => ({ headers: JSON_TYPE, body: JSON.stringify(body) });
const okCbor = (body: object): Reply => ({ headers: CBOR_TYPE, body: cbor(body) });
const failed = (status: number, body: object): Reply => ({ ...ok(body), status });
const failedCbor = (status: number, body: object): Reply => ({ ...okCbor(body), status });
const html: Reply = {
  headers: { "content-type": "text/html" },
  body: "<html><body><h1>503 Service Unavailable</h1></body></html>",
};

/** What it is called; the reply; and its like in JSON, if it is not JSON itself. */
type Case = readonly [name: string, given: Reply, like?: Reply];

const REPLIES: readonly Case[] = [
  ["a page", ok(json)],
  [
    "a page in CBOR, milliseconds as the service writes them",
    okCbor(inCbor(new Tag(AT, 1))),
    ok(json),
  ],
  ["a page in CBOR, milliseconds without a tag", okCbor(inCbor(AT)), ok(json)],
  ["a page in CBOR, seconds with a fraction", okCbor(inCbor(new Tag(AT / 1000, 1))), ok(json)],
  [
    "a page in CBOR, whole seconds",
    okCbor(inCbor(new Tag(1_790_000_000, 1))),
    ok({
      ...json,
      Records: json.Records.map((record) => ({
        ...record,
        ApproximateArrivalTimestamp: 1_790_000_000,
      })),
    }),
  ],
  [
    "a page in CBOR that says it is JSON",
    { ...okCbor(inCbor(new Tag(AT, 1))), headers: JSON_TYPE },
    ok(json),
  ],
  ["a page in JSON that says it is CBOR", { ...ok(json), headers: CBOR_TYPE }],
  ["a page without a content type", { body: JSON.stringify(json) }],
  [
    "an arrival time without an end",
    { headers: JSON_TYPE, body: JSON.stringify(json).replaceAll(String(AT / 1000), "1e999") },
  ],
  [
    "arrival times as text",
    { headers: JSON_TYPE, body: JSON.stringify(json).replaceAll(String(AT / 1000), '"Infinity"') },
  ],
  [
    "arrival times in whole milliseconds, a thousand times too late",
    { headers: JSON_TYPE, body: JSON.stringify(json).replaceAll(String(AT / 1000), String(AT)) },
  ],
  [
    "a lag without an end",
    { headers: JSON_TYPE, body: JSON.stringify(json).replaceAll("86400000", "1e999") },
  ],
  ["a page with a record without a key, and one with an empty key", ok(keyless)],
  ["the same in CBOR", okCbor(keylessInCbor), ok(keyless)],
  ["an empty page", ok({ Records: [], NextShardIterator: "AAAA", MillisBehindLatest: 0 })],
  ["a shard's end", ok(closed)],
  ["a shard's end in CBOR", okCbor(closed), ok(closed)],
  ["an end as null", ok({ Records: [], NextShardIterator: null, MillisBehindLatest: 0 })],
  ["no member at all", ok({})],
  ["no member at all in CBOR", okCbor({}), ok({})],
  ["an empty body", { headers: JSON_TYPE, body: "" }],
  ["an empty body of CBOR", { headers: CBOR_TYPE, body: "" }, { headers: JSON_TYPE, body: "" }],
  ["JSON that breaks off", { headers: JSON_TYPE, body: JSON.stringify(json).slice(0, 100) }],
  [
    "CBOR that breaks off",
    { headers: CBOR_TYPE, body: cbor(inCbor(new Tag(AT, 1))).subarray(0, 100) },
    { headers: JSON_TYPE, body: JSON.stringify(json).slice(0, 100) },
  ],
  ["bytes that are nothing", { headers: CBOR_TYPE, body: Buffer.from([0xff, 0xfe, 0, 1]) }],
  ["a page of HTML with status 200", html],
  ["a page of HTML with status 503", { ...html, status: 503 }],
  ["a page of HTML with status 404", { ...html, status: 404 }],
  ["a connection that is cut within the body", { ...ok(json), cut: 100 }],
  ["a connection that is cut within a body without measure", { ...ok(json), cut: 2 ** 52 }],
  ["a connection that is cut within CBOR", { ...okCbor(inCbor(AT)), cut: 100 }],
  ["a connection that is cut within an error", { ...failed(400, error("X")), cut: 100 }],
  ["an error without a body", { status: 500, headers: JSON_TYPE, body: "" }],
  ["an error whose JSON breaks off", { status: 400, headers: JSON_TYPE, body: '{"__type":"Expi' }],
  [
    "an error whose CBOR breaks off",
    {
      status: 400,
      headers: CBOR_TYPE,
      body: cbor(error("ExpiredIteratorException")).subarray(0, 9),
    },
    { status: 400, headers: JSON_TYPE, body: '{"__type":"Expi' },
  ],
  [
    "an error in a header",
    {
      status: 400,
      headers: { ...JSON_TYPE, "x-amzn-errortype": "ExpiredIteratorException:http://x" },
      body: "{}",
    },
  ],
  ["an unsupported media type", { status: 415, headers: JSON_TYPE, body: "" }],
  ...[
    [400, "ProvisionedThroughputExceededException"],
    [400, "ExpiredIteratorException"],
    [400, "ResourceNotFoundException"],
    [400, "InvalidArgumentException"],
    [400, "AccessDeniedException"],
    [400, "KMSThrottlingException"],
    [400, "KMSAccessDeniedException"],
    [400, "SerializationException"],
    [400, "UnknownOperationException"],
    [400, "ExpiredTokenException"],
    [400, "NobodyKnowsThisException"],
    [403, "MissingAuthenticationTokenException"],
    [429, "ThrottlingException"],
    [500, "InternalFailure"],
    [503, "ServiceUnavailable"],
  ].flatMap(([status, type]): Case[] => [
    [`${status} ${type}`, failed(Number(status), error(String(type)))],
    [
      `${status} ${type} in CBOR`,
      failedCbor(Number(status), error(String(type))),
      failed(Number(status), error(String(type))),
    ],
  ]),
];

let server: Server;
let client: KinesisClient;
/** Its transport is ours. */
let direct: KinesisClient;
let reply: Reply = { body: "" };
let requested: { type: string | undefined; length: string | undefined; body: Buffer };

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { "content-type": type, "content-length": length } = request.headers;
      requested = { type, length, body: Buffer.concat(chunks) };
      const body = Buffer.from(reply.body);
      response.writeHead(reply.status ?? 200, {
        ...REQUEST_ID,
        ...reply.headers,
        "content-length": body.length + (reply.cut ?? 0),
      });
      if (reply.cut) response.write(body, () => request.socket.destroy());
      else response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  client = clientOf(port);
  direct = clientOf(port, new KinesisHttpHandler());
});

afterAll(() => {
  client.destroy();
  direct.destroy();
  server.close();
});

function clientOf(
  port: number,
  requestHandler: NodeHttpHandler | KinesisHttpHandler = new NodeHttpHandler(),
): KinesisClient {
  return new KinesisClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler,
    maxAttempts: 1,
  });
}

const commands = { cbor: new PageCommands("cbor"), json: new PageCommands("json") };

/** What a caller sees: the page, or the error with all that anything is decided by. */
async function outcomeOf(
  given: Reply,
  protocol: WireProtocol | "sdk",
  by: KinesisClient = client,
): Promise<unknown> {
  reply = given;
  const input = { ShardIterator: "AAAA", Limit: 10 };
  let read: WireReply | undefined;
  if (by === direct && protocol !== "sdk") {
    const command = commands[protocol].create(input, () => {});
    return settled(by.send(command), () => command.reply);
  }
  const command = new GetRecordsCommand(input);
  const events = { onBytes: () => {}, onReply: (last?: WireReply) => (read = last) };
  if (protocol !== "sdk") overrideCodec(command, protocol, events);
  return settled(by.send(command), () => read);
}

async function settled(
  sent: Promise<GetRecordsCommandOutput>,
  replyOf: () => WireReply | undefined,
): Promise<unknown> {
  try {
    const output = await sent;
    const read = replyOf();
    const { $metadata, ...page } = read === undefined ? output : { ...output, ...asOutput(read) };
    const Records = (page.Records ?? []).map((record) => ({
      ...record,
      // A Buffer is bytes too.
      Data: record.Data && new Uint8Array(record.Data),
    }));
    return { page: { ...page, Records }, $metadata: { ...$metadata, totalRetryDelay: 0 } };
  } catch (thrown) {
    const { name, message, code, $fault, $retryable, $metadata } = thrown as Error &
      Record<string, unknown>;
    return {
      error: name === "SyntaxError" ? { name } : { name, message, code },
      $fault,
      $retryable,
      $metadata,
      meaning: classify(thrown),
    };
  }
}

describe.each(["json", "cbor"] as const)("a request in %s", (protocol) => {
  test.each(REPLIES.map(([name, given, like = given]) => ({ name, given, like })))(
    "$name is what the SDK makes of it",
    async ({ given, like }) => {
      const expected = await outcomeOf(like, "sdk");
      expect(await outcomeOf(given, protocol)).toEqual(expected);
    },
  );
});

describe.each(["sdk", "json", "cbor"] as const)(
  "over our own transport, read as %s,",
  (protocol) => {
    test.each(REPLIES.map(([name, given, like = given]) => ({ name, given, like })))(
      "$name is what the SDK makes of it over its own",
      async ({ given, like }) => {
        const isJson = protocol === "sdk";
        // The request that follows one is made like it, without the SDK.
        await outcomeOf(ok(json), protocol, direct);
        const expected = await outcomeOf(like, "sdk");
        const outcome = await outcomeOf(isJson ? like : given, protocol, direct);
        if (given.cut === undefined) expect(outcome).toEqual(expected);
        // What breaks off is no reply here: it has no status.
        else expect(outcome).toMatchObject({ error: { code: "ECONNRESET" }, meaning: "transient" });
      },
    );
  },
);

test("a reply that breaks off fails for whoever reads it, however late", async () => {
  const late = clientOf((server.address() as { port: number }).port);
  // Of the user: it waits between the reply and the SDK.
  late.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      await new Promise(setImmediate);
      return result;
    },
    { step: "deserialize", priority: "low" },
  );
  expect(await outcomeOf({ ...ok(json), cut: 100 }, "cbor", late)).toMatchObject({
    error: { code: "ECONNRESET" },
    meaning: "transient",
  });
  late.destroy();
});

test("the request is CBOR, with its type and length, and the same members", async () => {
  await outcomeOf(ok(json), "cbor");
  expect(requested.type).toBe("application/x-amz-cbor-1.1");
  expect(requested.length).toBe(String(requested.body.length));
  expect(encoder.decode(requested.body)).toEqual({ ShardIterator: "AAAA", Limit: 10 });
  await outcomeOf(ok(json), "json");
  expect(requested.type).toBe("application/x-amz-json-1.1");
  expect(JSON.parse(requested.body.toString())).toEqual({ ShardIterator: "AAAA", Limit: 10 });
});

test.each([
  ["a sequence number that is no digits", { SequenceNumber: "49a" }],
  ["a sequence number as a number", { SequenceNumber: 49 }],
  ["no sequence number", { SequenceNumber: undefined }],
  ["data as text", { Data: "aGVsbG8=" }],
  ["data as an object, as an old emulator wrote them", { Data: { type: "Buffer", data: [1, 2] } }],
  ["no data", { Data: undefined }],
  ["a partition key that is bytes", { PartitionKey: new Uint8Array([1]) }],
  ["an arrival time without an end", { ApproximateArrivalTimestamp: Infinity }],
  ["an arrival time before Kinesis was there", { ApproximateArrivalTimestamp: new Tag(1, 1) }],
  ["an arrival time in microseconds", { ApproximateArrivalTimestamp: new Tag(AT * 1000, 1) }],
  ["an arrival time that is text", { ApproximateArrivalTimestamp: "yesterday" }],
] as const)("a page of CBOR with %s is not used, and is reported", async (_name, wrong) => {
  const [first, second] = (inCbor(new Tag(AT, 1)) as typeof json).Records;
  const outcome = await outcomeOf(
    okCbor({ ...json, Records: [first, { ...second, ...wrong }] }),
    "cbor",
  );
  expect(outcome).toMatchObject({
    error: { name: "SyntaxError" },
    $metadata: { httpStatusCode: 200, requestId: REQUEST_ID["x-amzn-requestid"] },
    meaning: "transient",
  });
});

test.each([
  [200, "cbor", "transient"],
  [200, "json", "transient"],
  [429, "json", "throttled"],
] as const)(
  "status %i in JSON with a million objects is parsed by nobody, the request in %s",
  async (status, protocol, meaning) => {
    const Unknown = Array.from({ length: 1_000_000 }, () => ({}));
    expect(await outcomeOf(failed(status, { ...json, Unknown }), protocol)).toMatchObject({
      error: { name: "SyntaxError" },
      $metadata: { httpStatusCode: status },
      meaning,
    });
  },
);

test("an abort while the body comes is the SDK's own abort", async () => {
  const outcomes = [];
  for (const protocol of ["sdk", "cbor"] as const) {
    const stop = new AbortController();
    const hanging = createServer((_request, response) => {
      response.writeHead(200, { ...JSON_TYPE, "content-length": "1000" });
      response.write("{");
    });
    await new Promise<void>((resolve) => hanging.listen(0, "127.0.0.1", resolve));
    const { port } = hanging.address() as { port: number };
    const handler = new NodeHttpHandler();
    const handle = handler.handle.bind(handler);
    vi.spyOn(handler, "handle").mockImplementation(async (...call) => {
      const output = await handle(...call);
      // The head has come, and whoever reads the body begins before the turn is over.
      setImmediate(() => stop.abort());
      return output;
    });
    const other = clientOf(port, handler);
    const command = new GetRecordsCommand({ ShardIterator: "AAAA" });
    if (protocol === "cbor") {
      overrideCodec(command, protocol, { onBytes: () => {}, onReply: () => {} });
    }
    const thrown: unknown = await other.send(command, { abortSignal: stop.signal }).then(
      () => "answered",
      (rejected: unknown) => rejected,
    );
    outcomes.push((thrown as Error).name);
    other.destroy();
    hanging.closeAllConnections();
    hanging.close();
  }
  expect(outcomes[1]).toBe(outcomes[0]);
  expect(outcomes[0]).not.toBe("answered");
});
