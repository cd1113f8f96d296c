import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { createRequire } from "node:module";
import {
  GetRecordsCommand,
  KinesisClient,
  type KinesisClientConfig,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import fc from "fast-check";
import { KinesisHttpHandler } from "../src/index.ts";
import type { RecordsPage } from "../src/kinesis/records-page.ts";
import { encodeCborRequest } from "../src/kinesis/wire/cbor-request.ts";
import { Wire, type WireOption } from "../src/kinesis/wire/wire.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";

/** The SDK's own modules, from where its client finds them. */
const sdk = createRequire(createRequire(import.meta.url).resolve("@aws-sdk/client-kinesis"));
const { SignatureV4 } = createRequire(sdk.resolve("@aws-sdk/core/httpAuthSchemes"))(
  "@smithy/signature-v4",
) as { readonly SignatureV4: new (options: object) => Signer };
const { Sha256 } = sdk("@smithy/core/checksum") as { readonly Sha256: never };
const { HttpResponse } = sdk("@smithy/core/protocols") as {
  readonly HttpResponse: new (parts: object) => object;
};
const { StandardRetryStrategy } = sdk("@smithy/core/retry") as {
  readonly StandardRetryStrategy: new (attempts: number) => object;
};
const { AwsJson1_0Protocol } = sdk("@aws-sdk/core/protocols") as {
  readonly AwsJson1_0Protocol: unknown;
};

interface Signer {
  sign(request: object, options: object): Promise<{ headers: Record<string, string> }>;
}

/** As a minifier, or a user, may name it. */
class CountingRetries extends StandardRetryStrategy {
  static {
    Object.defineProperty(this, "name", { value: StandardRetryStrategy.name });
  }
}

/** Signs with a secret of its own. */
class OthersSigner extends SignatureV4 {
  constructor() {
    const credentials = { ...KEYS, secretAccessKey: "another" };
    super({ credentials, region: "us-east-1", service: "kinesis", sha256: Sha256 });
  }
}

interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query: object;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
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
/** What becomes of the next requests. */
let failures: ("throttled" | "early" | "cut")[] = [];
const REFUSED = {
  throttled: { __type: "ProvisionedThroughputExceededException" },
  early: { __type: "InvalidSignatureException", message: "Signature not yet current" },
};
const REPLY = JSON.stringify({ Records: [], NextShardIterator: "next", MillisBehindLatest: 0 });

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({ path: request.url!, headers: request.headers, body: Buffer.concat(chunks) });
      const failure = failures.shift();
      if (failure === "cut") return void request.socket.destroy();
      response.writeHead(failure === undefined ? 200 : 400, {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": `request-${seen.length}`,
        date: date().toUTCString(),
      });
      response.end(failure === undefined ? REPLY : JSON.stringify(REFUSED[failure]));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

beforeEach(() => {
  seen = [];
  date = () => new Date();
  failures = [];
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

const INPUT = { Limit: 10, StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/orders" };

function reads(
  client: KinesisClient,
  option: WireOption = "json",
  input: { readonly Limit: number; readonly StreamARN?: string } = INPUT,
): (iterator: string) => Promise<RecordsPage> {
  const wire = new Wire(option, new Telemetry({}, { stream: "s", application: "a" }));
  const { signal } = new AbortController();
  return (iterator) =>
    wire.getRecords(
      { ShardIterator: iterator, ...input },
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

const common = (headers: IncomingHttpHeaders): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name)));

/** A client makes one request a second: here, a second is not over. */
function standStill(): void {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => now.mockRestore());
}

test("the SDK makes one request, and those that follow are the ones that it would make", async () => {
  standStill();
  const client = clientOf();
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  const getRecords = reads(client);
  await getRecords("it-0");
  const pages = await Promise.all([1, 2, 3, 4].map((call) => getRecords(`it-${call}`)));
  expect(serialized).toHaveBeenCalledTimes(1);
  expect(pages.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1]);

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
    expect(Object.keys(headers)).toEqual(Object.keys(bySdk.headers));
    expect(common(headers)).toEqual(common(bySdk.headers));
  }
  expect(new Set(seen.map(({ headers }) => headers["amz-sdk-invocation-id"])).size).toBe(5);
});

const text = (alphabet: string, minLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...alphabet.split("")), minLength, maxLength: 40 });
const word = text("abcXYZ019", 1);

test("a request that was made like the SDK's is signed as the SDK signs it, whatever client it is", async () => {
  standStill();
  const clients = fc.record({
    credentials: fc.record(
      {
        accessKeyId: word,
        secretAccessKey: text("abcXYZ019/+=é", 1),
        sessionToken: text("abcXYZ019/+=", 1),
      },
      { requiredKeys: ["accessKeyId", "secretAccessKey"] },
    ),
    place: fc.constantFrom(
      ["us-east-1", "aws"] as const,
      ["eu-central-2", "aws"] as const,
      ["cn-north-1", "aws-cn"] as const,
      ["us-gov-west-1", "aws-us-gov"] as const,
    ),
    endpoint: fc.constantFrom(
      undefined,
      "http://localhost:4567",
      "https://kinesis.test/a/proxy",
      "https://kinesis.test:8443/a b/%41/",
    ),
    stream: fc.option(word, { nil: undefined }),
    iterator: text("abcXYZ019/+=é注", 1),
    option: fc.constantFrom("json" as const, "cbor" as const),
    at: fc.integer({ min: 0, max: 4e12 }),
    later: fc.constantFrom(0, 86_400_000),
  });
  await fc.assert(
    fc.asyncProperty(clients, async (given) => {
      const { credentials, endpoint, stream, iterator, option, at, later } = given;
      const [region, partition] = given.place;
      const now = vi.spyOn(Date, "now").mockReturnValue(at);
      const sent: SignedRequest[] = [];
      const client = new KinesisClient({
        credentials,
        region,
        ...(endpoint && { endpoint }),
        requestHandler: {
          handle: async (request: SignedRequest) => {
            sent.push(request);
            const headers = { "content-type": "application/x-amz-json-1.1" };
            return {
              response: new HttpResponse({ statusCode: 200, headers, body: Buffer.from(REPLY) }),
            };
          },
        } as never,
      });
      const arn = `arn:${partition}:kinesis:${region}:000000000000:stream/${stream}`;
      const input = { Limit: 10, ...(stream === undefined ? {} : { StreamARN: arn }) };
      const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
      const getRecords = reads(client, option, input);
      await getRecords("first");
      now.mockReturnValue(at + later);
      await getRecords(iterator);
      now.mockRestore();
      expect(serialized).toHaveBeenCalledTimes(1);
      const [bySdk, ours] = sent as [SignedRequest, SignedRequest];
      expect(Object.entries(common(ours.headers))).toEqual(
        Object.entries(
          common({
            ...bySdk.headers,
            "content-length": String(ours.body.byteLength),
          }),
        ),
      );
      for (const part of ["method", "protocol", "hostname", "port", "path", "query"] as const) {
        expect(ours[part]).toEqual(bySdk[part]);
      }
      const { authorization, "x-amz-content-sha256": hash, ...headers } = ours.headers;
      const signer = new SignatureV4({ credentials, region, service: "kinesis", sha256: Sha256 });
      const again = await signer.sign(
        { ...ours, headers: { ...headers } },
        { signingDate: new Date(at + later) },
      );
      expect(again.headers).toEqual({ ...headers, "x-amz-content-sha256": hash, authorization });
      const members = { ShardIterator: iterator, ...input };
      if (option === "json") expect(JSON.parse(Buffer.from(ours.body).toString())).toEqual(members);
      else expect(Buffer.compare(ours.body, encodeCborRequest(members))).toBe(0);
    }),
    { numRuns: 60 },
  );
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

test("credentials that are about to expire are asked for anew, and sign the next request", async () => {
  let key = 0;
  const client = clientOf({
    credentials: async () => ({
      accessKeyId: `key-${(key += 1)}`,
      secretAccessKey: "b",
      expiration: new Date(Date.now() + 3_600_000),
    }),
  });
  const getRecords = reads(client);
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  const later = Date.now() + 3_500_000;
  const now = vi.spyOn(Date, "now").mockImplementation(() => later);
  onTestFinished(() => now.mockRestore());
  date = () => new Date(later);
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  const used = seen.map(({ headers }) => /Credential=([^/]+)/.exec(headers.authorization!)![1]);
  expect(used).toEqual(["key-1", "key-1", "key-1", "key-2", "key-2", "key-2"]);
});

test("credentials that are changed in place sign the next request", async () => {
  const credentials = { ...KEYS, sessionToken: "first" };
  const getRecords = reads(clientOf({ credentials }));
  for (let call = 0; call < 2; call += 1) await getRecords("it");
  credentials.sessionToken = "second";
  await getRecords("it");
  const tokens = seen.map(({ headers }) => headers["x-amz-security-token"]);
  expect(tokens).toEqual(["first", "first", "second"]);
});

test("credentials are asked for once a request, however late they are, and whether they come or not", async () => {
  standStill();
  const refused = Object.assign(new Error("no role"), { name: "CredentialsProviderError" });
  let asked = 0;
  let isRefused = false;
  const client = clientOf({
    credentials: async () => {
      asked += 1;
      if (isRefused) throw refused;
      // About to expire: each request asks, and there are no others yet.
      return { ...KEYS, expiration: new Date(Date.now() + 1000) };
    },
  });
  const getRecords = reads(client);
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  await getRecords("it");
  asked = 0;
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  expect(serialized).toHaveBeenCalledTimes(1);
  expect(asked).toBe(3);
  isRefused = true;
  await expect(getRecords("it")).rejects.toBe(refused);
  expect(asked).toBe(4);
});

test("a request that was signed by a wrong time is made again, though another has set the clock meanwhile", async () => {
  standStill();
  // The request that is made again finds no connection, unless what refused the first one is let go.
  const requestHandler = new NodeHttpHandler({ httpAgent: { maxSockets: 1 } });
  const getRecords = reads(clientOf({ requestHandler }));
  await getRecords("it-0");
  const hour = Date.now() + 3_600_000;
  const now = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  onTestFinished(() => now.mockRestore());
  date = () => new Date(hour);
  failures = ["early", "early"];
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  onTestFinished(() => random.mockRestore());
  const pages = await Promise.all([getRecords("it-1"), getRecords("it-2")]);
  expect(pages.map(({ nextShardIterator }) => nextShardIterator)).toEqual(["next", "next"]);
  expect(seen).toHaveLength(5);
});

test("a request that is throttled, or has no reply, is tried again by the SDK, which counts it as its first attempt", async () => {
  const client = clientOf();
  const getRecords = reads(client);
  await getRecords("it-0");
  // The SDK waits for a random part of a second.
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  onTestFinished(() => random.mockRestore());
  for (const failure of ["throttled", "cut"] as const) {
    seen = [];
    failures = [failure];
    expect((await getRecords("it-1")).attempts).toBe(2);
    expect(seen.map(({ headers }) => headers["amz-sdk-request"])).toEqual([
      "attempt=1; max=3",
      "attempt=2; max=3",
    ]);
  }
});

test("each page is recorded as a success with the SDK's retry strategy", async () => {
  const client = clientOf();
  const getRecords = reads(client);
  const strategy = await client.config.retryStrategy();
  const successes = vi.spyOn(strategy as never, "recordSuccess");
  for (let call = 0; call < 4; call += 1) await getRecords("it");
  expect(successes).toHaveBeenCalledTimes(4);
});

test("a client whose classes a minifier has renamed is known as well", async () => {
  standStill();
  const client = clientOf();
  for (const { constructor } of [client.config.logger, await client.config.retryStrategy()]) {
    const { name } = constructor;
    Object.defineProperty(constructor, "name", { value: "a", configurable: true });
    onTestFinished(() => void Object.defineProperty(constructor, "name", { value: name }));
  }
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  const getRecords = reads(client);
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  expect(serialized).toHaveBeenCalledTimes(1);
});

test.each<[string, () => KinesisClientConfig]>([
  [
    "retries by a class of the same name",
    () => ({ retryStrategy: new CountingRetries(3) as never }),
  ],
  ["retries at a rate that adapts", () => ({ retryMode: "adaptive" })],
  ["a logger", () => ({ logger: { debug() {}, info() {}, warn() {}, error() {} } })],
  ["another protocol", () => ({ protocol: AwsJson1_0Protocol as never })],
  ["a signer of a user's", () => ({ signer: new OthersSigner() as never })],
  [
    "a trace of Lambda's",
    () => {
      vi.stubEnv("AWS_LAMBDA_FUNCTION_NAME", "f");
      vi.stubEnv("_X_AMZN_TRACE_ID", "Root=1-2-3");
      onTestFinished(() => void vi.unstubAllEnvs());
      return {};
    },
  ],
  [
    "credentials that change with each request",
    () => {
      let key = 0;
      const next = async (): Promise<object> => ({ ...KEYS, sessionToken: `token-${(key += 1)}` });
      return { credentials: Object.assign(next, { memoized: true }) as never };
    },
  ],
])("the SDK makes each request of a client with %s", async (_name, configuration) => {
  const client = clientOf(configuration());
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  const getRecords = reads(client);
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  expect(serialized).toHaveBeenCalledTimes(3);
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

test("a clock that is minutes off, and stays so, costs no more requests by the SDK", async () => {
  standStill();
  const client = clientOf({ disableClockSkewCorrection: true });
  const serialized = vi.spyOn(client.config.protocol, "serializeRequest");
  date = () => new Date(Date.now() + 180_000);
  const getRecords = reads(client);
  for (let call = 0; call < 3; call += 1) await getRecords("it");
  expect(serialized).toHaveBeenCalledTimes(1);
  expect(client.config.systemClockOffset).toBe(0);
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

test("a request for another stream is not made like that of the first", async () => {
  standStill();
  const client = clientOf();
  const asked: unknown[] = [];
  const provider = client.config.endpointProvider;
  client.config.endpointProvider = (params, context) => {
    asked.push((params as { StreamARN?: string }).StreamARN);
    return provider(params, context);
  };
  const wire = new Wire("json", new Telemetry({}, { stream: "s", application: "a" }));
  for (const stream of ["a", "a", "b", "a"]) {
    await wire.getRecords(
      { ShardIterator: "it", ...INPUT, StreamARN: `${INPUT.StreamARN}-${stream}` },
      (command) => client.send(command, {}),
      () => {},
    );
  }
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
