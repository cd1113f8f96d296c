import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { createRequire } from "node:module";
import {
  GetRecordsCommand,
  KinesisClient,
  type KinesisClientConfig,
} from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { KinesisHttpHandler } from "../src/index.ts";
import type { RecordsPage } from "../src/kinesis/records-page.ts";
import { Wire, type WireOption } from "../src/kinesis/wire/wire.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";

/** The SDK's own modules, from where its client finds them. */
const sdk = createRequire(createRequire(import.meta.url).resolve("@aws-sdk/client-kinesis"));
const { SignatureV4 } = createRequire(sdk.resolve("@aws-sdk/core/httpAuthSchemes"))(
  "@smithy/signature-v4",
) as { readonly SignatureV4: new (options: object) => Signer };
const { Sha256 } = sdk("@smithy/core/checksum") as { readonly Sha256: never };

interface Signer {
  sign(request: object, options: object): Promise<{ headers: Record<string, string> }>;
}

interface HostAddress {
  readonly protocol: string;
  readonly hostname: string;
  readonly port: number;
  readonly path: string;
}

/** What middleware makes of a request. */
interface Request {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

interface Seen {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let server: Server;
let seen: Seen[] = [];
let date: () => Date = () => new Date();
const REPLY = JSON.stringify({ Records: [], NextShardIterator: "next", MillisBehindLatest: 0 });

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({ path: request.url!, headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(200, {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": `request-${seen.length}`,
        date: date().toUTCString(),
      });
      response.end(REPLY);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

beforeEach(() => {
  seen = [];
  date = () => new Date();
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const urlOf = (host = "127.0.0.1"): string =>
  `http://${host}:${(server.address() as { port: number }).port}`;
const KEYS = { accessKeyId: "a", secretAccessKey: "b" };

function clientOf(configuration: KinesisClientConfig = {}): KinesisClient {
  const client = new KinesisClient({
    endpoint: urlOf(),
    region: "us-east-1",
    credentials: KEYS,
    requestHandler: new KinesisHttpHandler(),
    ...configuration,
  });
  onTestFinished(() => client.destroy());
  return client;
}

const INPUT = { StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/orders", Limit: 10 };

function reads(
  client: KinesisClient,
  option: WireOption = "json",
): (iterator: string) => Promise<RecordsPage> {
  const wire = new Wire(option, new Telemetry({}, { stream: "s", application: "a" }));
  const { signal } = new AbortController();
  return (iterator) =>
    wire.getRecords(
      { ...INPUT, ShardIterator: iterator },
      (command) => client.send(command, { abortSignal: signal }),
      () => {},
    );
}

/** What differs between two requests of the SDK's own. */
const OWN = /^(?:amz-sdk-invocation-id|x-amz-content-sha256|x-amz-date|authorization)$/;

/** When a request was signed. */
function dateOf(headers: IncomingHttpHeaders): Date {
  const [, ...parts] = /(....)(..)(..)T(..)(..)(..)Z/.exec(headers["x-amz-date"] as string)!;
  const [year, month, ...rest] = parts.map(Number) as [number, number, number, number, number];
  return new Date(Date.UTC(year, month - 1, ...rest));
}

const common = (headers: IncomingHttpHeaders): object =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name)));

test("what the SDK finds out for each request is asked once, and a later request is the one that the SDK makes", async () => {
  let signers = 0;
  class CountedSignatureV4 extends SignatureV4 {
    constructor(options: object) {
      super(options);
      signers += 1;
    }
  }
  Object.defineProperty(CountedSignatureV4, "name", { value: "SignatureV4" });
  const client = clientOf({ signerConstructor: CountedSignatureV4 as never });
  const endpoints = vi.spyOn(client.config, "endpointProvider" as never);
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  const deserialized = vi.spyOn(client.config.protocol, "deserializeResponse");
  const getRecords = reads(client);
  await getRecords("it-0");
  await Promise.all([1, 2, 3, 4].map((call) => getRecords(`it-${call}`)));
  const times = [endpoints, serialized].map((spy) => spy.mock.calls.length);
  expect([...times, deserialized.mock.calls.length, signers]).toEqual([1, 1, 0, 1]);

  const inputs = seen.map(({ body }) => JSON.parse(body.toString()) as { ShardIterator: string });
  expect(new Set(inputs.map(({ ShardIterator }) => ShardIterator)).size).toBe(5);
  for (const { ShardIterator, ...rest } of inputs) {
    expect(ShardIterator).toMatch(/^it-[0-4]$/);
    expect(rest).toEqual(INPUT);
  }
  await client.send(new GetRecordsCommand({ ...INPUT, ShardIterator: "it-9" }));
  const bySdk = seen.pop()!;
  for (const { path, headers } of seen) {
    expect(path).toBe(bySdk.path);
    expect(common(headers)).toEqual(common(bySdk.headers));
  }
  expect(new Set(seen.map(({ headers }) => headers["amz-sdk-invocation-id"])).size).toBe(5);
});

test.each(["json", "cbor"] as const)("each request is signed for itself, in %s", async (option) => {
  const getRecords = reads(clientOf(), option);
  for (let call = 0; call < 3; call += 1) await getRecords(`it-${call}`);
  for (const { path, headers, body } of seen) {
    const names = /SignedHeaders=([^,]+)/.exec(headers.authorization!)![1]!.split(";");
    const signed = Object.fromEntries(names.map((name) => [name, headers[name]]));
    const signer = new SignatureV4({
      credentials: KEYS,
      region: "us-east-1",
      service: "kinesis",
      sha256: Sha256,
    });
    const request = {
      method: "POST",
      protocol: "http:",
      hostname: "",
      path,
      headers: signed,
      body,
    };
    const again = await signer.sign(request, { signingDate: dateOf(headers) });
    expect(again.headers["authorization"]).toBe(headers.authorization);
  }
});

test("credentials that have changed sign the next request", async () => {
  let key = 0;
  const getRecords = reads(
    clientOf({
      // About to expire: the SDK asks for others each time.
      credentials: async () => ({
        accessKeyId: `key-${(key += 1)}`,
        secretAccessKey: "b",
        sessionToken: `token-${key}`,
        expiration: new Date(Date.now() + 1000),
      }),
    }),
  );
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  const used = seen.map(({ headers }) => [
    /Credential=([^/]+)/.exec(headers.authorization!)![1],
    headers["x-amz-security-token"] as string,
  ]);
  expect(new Set(used.map(([id]) => id)).size).toBe(3);
  for (const [id, token] of used) expect(token).toBe(`token-${id!.slice("key-".length)}`);
});

test("the time of day of a request is corrected by the last reply", async () => {
  const HOUR = 3_600_000;
  const client = clientOf();
  const getRecords = reads(client);
  const signedAt = (): number => {
    return dateOf(seen.at(-1)!.headers).getTime();
  };
  await getRecords("it-0");
  for (const hours of [3, -2, 0]) {
    date = () => new Date(Date.now() + hours * HOUR);
    await getRecords("it-1");
    await getRecords("it-2");
    expect(Math.abs(signedAt() - Date.now() - hours * HOUR)).toBeLessThan(HOUR / 2);
    expect(Math.abs(client.config.systemClockOffset - hours * HOUR)).toBeLessThan(HOUR / 2);
  }
});

test("what middleware does to a request is that request's alone", async () => {
  const client = clientOf();
  let call = 0;
  // As Powertools has it.
  type Next = (args: { readonly request: Request }) => Promise<never>;
  const addUserAgent =
    (next: Next): Next =>
    (args) => {
      const { headers } = args.request;
      headers["user-agent"] += ` PT/${(call += 1)}`;
      return next(args);
    };
  client.middlewareStack.addRelativeTo(addUserAgent as never, {
    relation: "after",
    toMiddleware: "getUserAgentMiddleware",
    name: "addUserAgent",
  });
  // What it notes about a call, and what it makes of its input.
  client.middlewareStack.add(
    (next, context) => (args) => {
      const input = args.input as { ShardIterator: string; Limit: number };
      if (input.ShardIterator === "it-3") context.userAgent = [["noted", "1"]];
      return next({
        ...args,
        input: { ...input, Limit: 20 + Number(input.ShardIterator.at(-1)) },
      });
    },
    { step: "initialize" },
  );
  client.middlewareStack.add(
    (next) => (args) => {
      const { body, headers } = args.request as Request;
      expect(JSON.parse(new TextDecoder().decode(body))).toEqual({ ...args.input });
      if (call === 1) headers["x-trace"] = "root";
      return next(args);
    },
    { step: "serialize", priority: "low" },
  );
  const getRecords = reads(client);
  for (let read = 1; read <= 4; read += 1) await getRecords(`it-${read}`);
  const agents = seen.map(({ headers }) => headers["user-agent"]!);
  expect(agents.map((agent) => agent.match(/PT\/\d/g))).toEqual([
    ["PT/1"],
    ["PT/2"],
    ["PT/3"],
    ["PT/4"],
  ]);
  expect(agents.map((agent) => agent.includes("noted"))).toEqual([false, false, true, false]);
  expect(seen.map(({ headers }) => headers["x-trace"])).toEqual([
    undefined,
    "root",
    undefined,
    undefined,
  ]);
  const limits = seen.map(({ body }) => (JSON.parse(body.toString()) as { Limit: number }).Limit);
  expect(limits).toEqual([21, 22, 23, 24]);
});

test("another endpoint or Region of the client is used within a second", async () => {
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  now.mockReturnValue(0);
  let host = "127.0.0.1";
  let region = "us-east-1";
  const getRecords = reads(
    clientOf({
      region: async () => region,
      endpoint: async () => addressOf(host),
    }),
  );
  const used = (): unknown => {
    const { host: name, authorization } = seen.at(-1)!.headers;
    return [name!.split(":")[0], /\/([a-z0-9-]+)\/kinesis\//.exec(authorization!)![1]];
  };
  await getRecords("it-0");
  expect(used()).toEqual(["127.0.0.1", "us-east-1"]);
  [host, region] = ["localhost", "eu-west-1"];
  now.mockReturnValue(1000);
  await getRecords("it-1");
  // The SDK itself never signs for another Region.
  expect(used()).toEqual(["localhost", "us-east-1"]);
});

test("of the calls of another second one asks the SDK again; the others do not wait for it", async () => {
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  now.mockReturnValue(0);
  const client = clientOf();
  const asked = [
    vi.spyOn(client.config, "endpointProvider" as never),
    vi.spyOn(client.config.protocol, "serializeRequest"),
  ];
  const getRecords = reads(client);
  await Promise.all([1, 2, 3].map((call) => getRecords(`it-${call}`)));
  const before = asked.map((spy) => spy.mock.calls.length);
  now.mockReturnValue(1000);
  await Promise.all([4, 5, 6].map((call) => getRecords(`it-${call}`)));
  expect(asked.map((spy) => spy.mock.calls.length)).toEqual(before.map((calls) => calls + 1));
});

const addressOf = (hostname: string): HostAddress => ({
  protocol: "http:",
  hostname,
  port: (server.address() as { port: number }).port,
  path: "/",
});

test("another stream's request goes to its own endpoint", async () => {
  const client = clientOf();
  const asked: unknown[] = [];
  const provider = client.config.endpointProvider;
  client.config.endpointProvider = (params, context) => {
    asked.push((params as { StreamARN?: string }).StreamARN);
    return provider(params, context);
  };
  client.middlewareStack.add(
    (next) => (args) => {
      const { ShardIterator } = args.input as { ShardIterator: string };
      return next({
        ...args,
        input: { ...args.input, StreamARN: `${INPUT.StreamARN}-${ShardIterator}` },
      });
    },
    { step: "initialize" },
  );
  const getRecords = reads(client);
  for (const iterator of ["a", "a", "b", "a"]) await getRecords(iterator);
  expect(asked.map((arn) => String(arn).at(-1))).toEqual(["a", "b", "a"]);
});

test("a reply that middleware puts in the service's place is read by the SDK", async () => {
  const client = clientOf({ maxAttempts: 1 });
  let instead: { statusCode: number; body: string } | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      if (instead !== undefined) {
        const { statusCode, body } = instead;
        Object.assign(result.response as object, { statusCode, body: Buffer.from(body) });
      }
      return result;
    },
    { step: "deserialize", name: "chaos" },
  );
  const getRecords = reads(client);
  await getRecords("it-0");
  instead = { statusCode: 500, body: '{"__type":"InternalFailure","message":"chaos"}' };
  await expect(getRecords("it-1")).rejects.toMatchObject({
    name: "InternalFailure",
    $metadata: { httpStatusCode: 500, requestId: "request-2" },
  });
  instead = undefined;
  expect((await getRecords("it-2")).nextShardIterator).toBe("next");
});

test("middleware and loggers see the output as the SDK has it, but for the records", async () => {
  const outputs: object[] = [];
  const logged: object[] = [];
  const logger = { debug() {}, info: (entry: object) => logged.push(entry), warn() {}, error() {} };
  const client = clientOf({ logger });
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      outputs.push(structuredClone(result.output));
      return result;
    },
    { step: "initialize", priority: "high" },
  );
  const getRecords = reads(client);
  await getRecords("it-0");
  await getRecords("it-1");
  const { $metadata } = await client.send(new GetRecordsCommand({ ShardIterator: "it-2" }));
  expect($metadata).toMatchObject({ httpStatusCode: 200, requestId: "request-3", attempts: 1 });
  expect(outputs.slice(0, 2)).toEqual(
    [1, 2].map((nth) => ({ $metadata: { ...$metadata, requestId: `request-${nth}` } })),
  );
  expect(logged.slice(0, 2)).toMatchObject(
    [0, 1].map((nth) => ({
      clientName: "KinesisClient",
      commandName: "GetRecordsCommand",
      input: { ...INPUT, ShardIterator: `it-${nth}` },
      output: {},
      metadata: { httpStatusCode: 200 },
    })),
  );
});
