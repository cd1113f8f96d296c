import { createServer, type Server } from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  GetRecordsCommand,
  KinesisClient,
  type GetRecordsCommandOutput,
  type KinesisClientConfig,
} from "@aws-sdk/client-kinesis";
import { mockClient } from "aws-sdk-client-mock";
import AWSXRay from "aws-xray-sdk-core";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { KinesisHttpHandler } from "../src/index.ts";
import { Wire } from "../src/kinesis/wire/wire.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { until } from "./support/until.ts";

/** Answers each iterator with the next one, so that each reply says whose it is. */
let server: Server;
/** Holds an answer back until it is called. */
const held = new Map<string, () => void>();
let holds: (iterator: string) => boolean = () => false;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const iterator = /it-\d+/.exec(Buffer.concat(chunks).toString("latin1"))![0];
      const answer = (): void => {
        response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
        const reply = { Records: [], NextShardIterator: `${iterator}-next`, MillisBehindLatest: 0 };
        response.end(JSON.stringify(reply));
      };
      if (holds(iterator)) held.set(iterator, answer);
      else answer();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function clientOf(configuration: KinesisClientConfig = {}): KinesisClient {
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: new KinesisHttpHandler(),
    ...configuration,
  });
  onTestFinished(() => client.destroy());
  return client;
}

type Send = (command: GetRecordsCommand, options: object) => Promise<GetRecordsCommandOutput>;

function readerOf(send: Send): (iterator: string, signal?: AbortSignal) => Promise<string> {
  const wire = new Wire("cbor", new Telemetry({}, { stream: "s", application: "a" }));
  return async (iterator, signal = new AbortController().signal) => {
    const page = await wire.getRecords(
      { ShardIterator: iterator },
      (command) => send(command, { abortSignal: signal }),
      () => {},
    );
    return page.nextShardIterator ?? "";
  };
}

const read = (client: KinesisClient): ReturnType<typeof readerOf> =>
  readerOf((command, options) => client.send(command, options));

test("a user's middleware sees the input, the command and the signal of each call, and nothing of another call", async () => {
  const client = clientOf();
  const seen: unknown[] = [];
  client.middlewareStack.add(
    (next, context) => (args) => {
      const own = context as unknown as Record<string, Record<string, unknown>>;
      const { commandInstance, abortSignal } = own["__smithy_context"]!;
      seen.push({
        name: context.commandName,
        iterator: (args.input as { ShardIterator: string }).ShardIterator,
        command: (commandInstance as GetRecordsCommand).input.ShardIterator,
        className: commandInstance?.constructor.name,
        reason: (abortSignal as AbortSignal).reason as unknown,
        kept: own["kept"],
      });
      // What a middleware notes about a call is gone with it.
      Object.assign(own, { kept: args.input });
      return next(args);
    },
    { step: "build" },
  );
  const reads = read(client);
  for (let call = 0; call < 3; call += 1) {
    expect(await reads(`it-${call}`, new AbortController().signal)).toBe(`it-${call}-next`);
  }
  expect(seen).toEqual(
    [0, 1, 2].map((call) => ({
      name: "GetRecordsCommand",
      iterator: `it-${call}`,
      command: `it-${call}`,
      className: "GetRecordsCommand",
      reason: undefined,
      kept: undefined,
    })),
  );
});

test("each reply is its own call's, in whatever order replies come", async () => {
  const reads = read(clientOf());
  holds = () => true;
  onTestFinished(() => {
    holds = () => false;
  });
  for (let round = 0; round < 3; round += 1) {
    const iterators = Array.from({ length: 12 }, (_, index) => `it-${round}${index}`);
    const calls = iterators.map((iterator) => reads(iterator));
    await until(() => held.size === iterators.length);
    for (const answer of [...held.values()].toReversed()) answer();
    held.clear();
    expect(await Promise.all(calls)).toEqual(iterators.map((iterator) => `${iterator}-next`));
  }
});

test("a reply that comes after its call is over is no other call's", async () => {
  const client = clientOf();
  let requests = 0;
  holds = (iterator) => iterator === "it-1" && (requests += 1) === 2;
  onTestFinished(() => {
    holds = () => false;
  });
  let slower: Promise<unknown> | undefined;
  let goOn: (() => void) | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const { ShardIterator } = args.input as { ShardIterator: string };
      if (ShardIterator === "it-1") return Promise.race([next(args), (slower = next(args))]);
      const result = await next(args);
      await new Promise<void>((resolve) => (goOn = resolve));
      return result;
    },
    { step: "finalizeRequest", priority: "low" },
  );
  const reads = read(client);
  expect(await reads("it-1")).toBe("it-1-next");
  const other = reads("it-2");
  await until(() => goOn !== undefined && held.has("it-1"));
  held.get("it-1")!();
  held.clear();
  await slower;
  goOn!();
  expect(await other).toBe("it-2-next");
});

test("a client of which a request is known keeps nothing of the pages that were read", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const client = clientOf();
  const wire = new Wire("cbor", new Telemetry({}, { stream: "s", application: "a" }));
  const kept: WeakRef<object>[] = [];
  const reads = async (iterator: string): Promise<void> => {
    const watch = (): void => {};
    const send = (command: GetRecordsCommand): Promise<GetRecordsCommandOutput> =>
      client.send(command);
    const page = await wire.getRecords({ ShardIterator: iterator }, send, watch);
    kept.push(new WeakRef(page.records), new WeakRef(watch));
  };
  await Promise.all(["it-0", "it-1", "it-2"].map((iterator) => reads(iterator)));
  await reads("it-3");
  // What a WeakRef was made of lives until the turn of the event loop is over, and what an earlier collection
  // had met already until the next one.
  await until(() => {
    collect();
    return kept.every((each) => each.deref() === undefined);
  });
  expect(kept).toHaveLength(8);
  await reads("it-4");
});

test("an abort reaches the request, whether the SDK makes it or not", async () => {
  for (const before of [0, 1]) {
    const reads = read(clientOf());
    for (let call = 0; call < before; call += 1) await reads("it-1");
    holds = () => true;
    onTestFinished(() => {
      holds = () => false;
    });
    const stop = new AbortController();
    const call = reads("it-2", stop.signal);
    await until(() => held.has("it-2"));
    stop.abort();
    await expect(call).rejects.toMatchObject({ name: "AbortError" });
    held.clear();
    holds = () => false;
    expect(await reads("it-3")).toBe("it-3-next");
  }
});

test("middleware that is added later is called within a second", async () => {
  const client = clientOf();
  const reads = read(client);
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  now.mockReturnValue(0);
  await reads("it-1");
  let called = 0;
  client.middlewareStack.add(
    (next) => (args) => {
      called += 1;
      return next(args);
    },
    { step: "initialize" },
  );
  now.mockReturnValue(999);
  await reads("it-2");
  expect(called).toBe(0);
  now.mockReturnValue(1000);
  await reads("it-3");
  expect(called).toBe(1);
});

test("the SDK makes one request a second, until somebody adds middleware or replaces some of the SDK's", async () => {
  const client = clientOf();
  const reads = read(client);
  const resolved = vi.spyOn(client.middlewareStack, "concat");
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  for (let second = 0; second < 3; second += 1) {
    now.mockReturnValue(second * 1000);
    for (let call = 0; call < 4; call += 1) await reads("it-1");
  }
  expect(resolved).toHaveBeenCalledTimes(3);
  const called: string[] = [];
  const noting = (name: string): never =>
    ((next: (args: unknown) => unknown) => (args: unknown) => {
      called.push(name);
      return next(args);
    }) as never;
  client.middlewareStack.add(noting("replaced"), {
    step: "build",
    priority: "low",
    name: "recursionDetectionMiddleware",
    override: true,
  });
  now.mockReturnValue(4000);
  for (let call = 0; call < 3; call += 1) await reads("it-2");
  expect(called).toEqual(["replaced", "replaced", "replaced"]);
  // A client that had it from the beginning.
  const other = read(client);
  for (let call = 0; call < 3; call += 1) await other("it-2");
  expect(called).toHaveLength(6);
});

test("instrumentation that wraps the functions of a client's stack sees each call", async () => {
  const client = clientOf();
  const stack = client.middlewareStack;
  const concat = stack.concat.bind(stack);
  let seen = 0;
  const wrapped = (from: never): never => {
    seen += 1;
    return concat(from) as never;
  };
  Object.assign(stack, { concat: Object.assign(wrapped, { __wrapped: true }) });
  const reads = read(client);
  for (let call = 0; call < 3; call += 1) await reads("it-1");
  expect(seen).toBe(3);
});

test("middleware of a command is called, and of that command alone", async () => {
  const client = clientOf();
  let called = 0;
  let adds = false;
  const reads = readerOf((command, options) => {
    if (adds) {
      command.middlewareStack.add(
        (next) => (args) => {
          called += 1;
          return next(args);
        },
        { step: "build" },
      );
    }
    return client.send(command, options);
  });
  await reads("it-0");
  adds = true;
  await reads("it-1");
  adds = false;
  await reads("it-2");
  expect(called).toBe(1);
});

test("a request handler and a logger that a client is given later are used within a second", async () => {
  const client = clientOf();
  const reads = read(client);
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  now.mockReturnValue(0);
  await reads("it-1");
  const first = client.config.requestHandler;
  const second = new KinesisHttpHandler();
  onTestFinished(() => second.destroy());
  const handled = [vi.spyOn(first, "handle"), vi.spyOn(second, "handle")];
  client.config.requestHandler = second as never;
  now.mockReturnValue(1000);
  await reads("it-2");
  expect(handled.map(({ mock }) => mock.calls.length)).toEqual([0, 1]);
  const info = vi.fn<(message: unknown) => void>();
  client.config.logger = { debug: info, info, warn: info, error: info };
  now.mockReturnValue(2000);
  await reads("it-3");
  expect(info).toHaveBeenCalledTimes(1);
});

test("a command that is sent twice, one after the other or at once, is read each time", async () => {
  const client = clientOf();
  const again = readerOf(async (command, options) => {
    await client.send(command, options);
    return client.send(command, options);
  });
  expect(await again("it-1")).toBe("it-1-next");
  const atOnce = readerOf((command, options) =>
    Promise.race([client.send(command, options), client.send(command, options)]),
  );
  for (let call = 0; call < 5; call += 1) {
    expect(await atOnce(`it-${call}`)).toBe(`it-${call}-next`);
  }
});

test("a client that keeps the first command's handler reads each command", async () => {
  const client = clientOf({ cacheMiddleware: true });
  // It does so where it is passed no options.
  const reads = readerOf((command) => client.send(command));
  for (const iterator of ["it-1", "it-2", "it-3"]) {
    expect(await reads(iterator)).toBe(`${iterator}-next`);
  }
});

test("each client's requests pass its own middleware", async () => {
  const clients = [clientOf(), clientOf()];
  const calls = [0, 0];
  for (const [index, client] of clients.entries()) {
    client.middlewareStack.add(
      (next) => (args) => {
        calls[index]! += 1;
        return next(args);
      },
      { step: "initialize" },
    );
  }
  let turn = 0;
  const reads = readerOf((command, options) => clients[turn++ % 2]!.send(command, options));
  for (let call = 0; call < 6; call += 1) await reads(`it-${call}`);
  expect(calls).toEqual([3, 3]);
});

test("X-Ray captures each call as one of the SDK's", async () => {
  const client = clientOf();
  const segment = new AWSXRay.Segment("worker");
  AWSXRay.enableManualMode();
  const captured = AWSXRay.captureAWSv3Client(client as never, segment) as KinesisClient;
  const reads = read(captured);
  for (let call = 0; call < 2; call += 1) {
    expect(await reads(`it-${call}`)).toBe(`it-${call}-next`);
  }
  const calls = segment.subsegments as { name: string; aws?: { operation?: string } }[];
  expect(calls.map(({ name, aws }) => [name, aws?.operation])).toEqual([
    ["Kinesis", "GetRecords"],
    ["Kinesis", "GetRecords"],
  ]);
});

test("aws-sdk-client-mock answers it as the SDK's own command", async () => {
  const mock = mockClient(KinesisClient);
  onTestFinished(() => mock.restore());
  mock.on(GetRecordsCommand, { ShardIterator: "it-1" }).resolves({
    Records: [],
    NextShardIterator: "mocked",
    MillisBehindLatest: 0,
  });
  expect(await read(clientOf())("it-1")).toBe("mocked");
  expect(mock.commandCalls(GetRecordsCommand)).toHaveLength(1);
});
