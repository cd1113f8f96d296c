import { tracingChannel } from "node:diagnostics_channel";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import {
  CHANNELS,
  Consumer,
  LeaseGroup,
  MemoryStore,
  type BatchHandler,
  type Handler,
} from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import {
  context,
  diag,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { OpenTelemetryTracing, type OpenTelemetryTracingOptions } from "../src/index.ts";
import { startOtlp } from "./support/otlp.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SHARD = "shardId-000000000000";
const ignore = (): void => {};

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
});

interface Traced {
  readonly tracing: OpenTelemetryTracing;
  readonly provider: BasicTracerProvider;
  readonly spans: (name: string) => readonly ReadableSpan[];
}

function traced(options: OpenTelemetryTracingOptions = {}): Traced {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = new OpenTelemetryTracing({ tracerProvider: provider, ...options });
  onTestFinished(() => tracing[Symbol.dispose]());
  return {
    tracing,
    provider,
    spans: (name) => exporter.getFinishedSpans().filter((span) => span.name.startsWith(name)),
  };
}

/** Puts these records, and scans until the last of them is handled. */
async function scan(
  texts: readonly string[],
  handler: Handler,
  leasing?: { readonly group: LeaseGroup; readonly clock: FakeClock },
): Promise<unknown> {
  const streams = { orders: 1 };
  const kinesis = new FakeKinesis({ streams, ...(leasing && { clock: leasing.clock }) });
  for (const text of texts) {
    const Data = Buffer.from(text);
    await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "k", Data }));
  }
  const stop = new AbortController();
  let handled = 0;
  const options = {
    stream: "orders",
    application: "billing",
    client: kinesis,
    store: new MemoryStore(),
    start: "TRIM_HORIZON",
  } as const;
  const consumer = new Consumer(leasing === undefined ? options : { ...options, ...leasing });
  return consumer
    .scan(
      async (record, handlerContext) => {
        try {
          return await handler(record, handlerContext);
        } finally {
          if ((handled += 1) === texts.length) stop.abort();
        }
      },
      { signal: stop.signal },
    )
    .catch((error: unknown) => error);
}

test("each record has a span, linked to its producer's if it carries one", async () => {
  const { tracing, spans } = traced({
    extract: (record) => {
      const { traceparent } = record.json<{ traceparent?: string }>();
      return traceparent === undefined ? undefined : { traceparent };
    },
  });
  const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;
  await scan(
    [JSON.stringify({ traceparent }), "{}"],
    tracing.handler(() => {}),
  );

  const [linked, alone] = spans("process orders");
  expect(linked!.kind).toBe(SpanKind.CONSUMER);
  expect(linked!.links.map(({ context: { traceId } }) => traceId)).toEqual([TRACE]);
  expect(linked!.parentSpanContext).toBeUndefined();
  expect(linked!.attributes).toEqual({
    "messaging.system": "aws.kinesis",
    "messaging.destination.name": "orders",
    "messaging.consumer.group.name": "billing",
    "messaging.destination.partition.id": SHARD,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.message.id": expect.stringMatching(/^\d{56}$/),
    "messaging.message.body.size": expect.any(Number),
  });
  expect(alone!.links).toEqual([]);
  expect(alone!.spanContext().traceId).not.toBe(linked!.spanContext().traceId);
});

test("what a handler calls is traced below its record's span, across its awaits", async () => {
  const { tracing, provider, spans } = traced();
  const tracer = provider.getTracer("test");
  await scan(
    ["1", "2"],
    tracing.handler(async () => {
      await new Promise(setImmediate);
      tracer.startSpan("query").end();
    }),
  );
  const parents = spans("query").map((span) => span.parentSpanContext?.spanId);
  expect(parents).toEqual(spans("process").map((span) => span.spanContext().spanId));
  expect(new Set(parents).size).toBe(2);
});

test("what a batch handler calls is traced below its batch's span, across its awaits", async () => {
  const { tracing, provider, spans } = traced();
  const tracer = provider.getTracer("test");
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  for (const text of ["1", "2", "3"]) {
    const Data = Buffer.from(text);
    await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "k", Data }));
  }
  const stop = new AbortController();
  let handled = 0;
  const handler: BatchHandler = async (records) => {
    await new Promise(setImmediate);
    tracer.startSpan("query").end();
    handled += records.length;
    if (handled === 3) stop.abort();
  };
  const consumer = new Consumer({ stream: "orders", client: kinesis, start: "TRIM_HORIZON" });
  await consumer.scanBatch(tracing.batchHandler(handler), { signal: stop.signal, maxRecords: 2 });
  const parents = spans("query").map((span) => span.parentSpanContext?.spanId);
  expect(parents).toEqual(spans("process").map((span) => span.spanContext().spanId));
  expect(new Set(parents).size).toBe(2);
});

test("a handler that fails ends its span with the error", async () => {
  const { spans } = traced();
  const error = await scan(["1"], () => {
    throw Object.assign(new Error("no stock"), { code: "E_STOCK" });
  });
  expect(error).toMatchObject({ code: "HANDLER_FAILED" });
  const [span] = spans("process");
  expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: "Error (E_STOCK)" });
  expect(span!.attributes["error.type"]).toBe("E_STOCK");
  expect(span!.events.map(({ name }) => name)).toEqual(["exception"]);
  expect(span!.events[0]!.attributes?.["exception.stacktrace"]).toMatch(
    /^Error .*\n +at .*\.test\.ts/,
  );
});

test("no span carries a record's data: a handler's error is recorded without its message", async () => {
  const { spans } = traced();
  await scan(["secret-data"], (record) => JSON.parse(record.text()));
  await scan(["secret-data"], async (record) => {
    throw new Error(`line 1\n    at ${record.text()}`);
  });
  const told = spans("").map(({ attributes, status, events }) => ({ attributes, status, events }));
  expect(told.filter(({ status }) => status.code === SpanStatusCode.ERROR)).toHaveLength(2);
  expect(JSON.stringify(told)).toContain("SyntaxError");
  expect(JSON.stringify(told)).not.toContain("secret");
});

const hostile = (): never => {
  throw new Error("a getter that throws");
};

test.each<readonly [string, unknown]>([
  ["nothing", undefined],
  ["null", null],
  ["a text", "no"],
  ["a symbol", Symbol("no")],
  ["an object without a prototype", Object.create(null)],
  [
    "an error whose code cannot be read",
    Object.defineProperty(new Error(), "code", { get: hostile }),
  ],
  ["a proxy that refuses", new Proxy({}, { get: hostile, getPrototypeOf: hostile })],
])("a handler that throws %s ends its span as failed, async or not", async (_what, thrown) => {
  const { tracing, spans } = traced();
  const failing = tracing.handler((record) => {
    if (record.text() === "async") return Promise.reject(thrown);
    throw thrown;
  });
  // Called at once, and not by an async function around it.
  for (const text of ["sync", "async"]) await scan([text], failing);
  expect(spans("process").map(({ status }) => status.code)).toEqual([
    SpanStatusCode.ERROR,
    SpanStatusCode.ERROR,
  ]);
  for (const { attributes } of spans("process"))
    expect(attributes["error.type"]).toBeTypeOf("string");
});

test("a span that cannot record a failure ends all the same", async () => {
  diag.setLogger({ error: ignore, warn: ignore, info: ignore, debug: ignore, verbose: ignore });
  onTestFinished(() => diag.disable());
  const provider = new BasicTracerProvider();
  const tracer = provider.getTracer("test");
  const begun: Span[] = [];
  traced({
    tracerProvider: {
      getTracer: () => ({
        startSpan: (...args) => {
          const span = tracer.startSpan(...args);
          span.setStatus = hostile;
          begun.push(span);
          return span;
        },
        startActiveSpan: ignore,
      }),
    },
    operations: ["handle"],
  });
  await scan(["1"], () => {
    throw new Error("no");
  });
  expect(begun.map((span) => span.isRecording())).toEqual([false]);
});

test("polls that bring something, writes of checkpoints and leases have spans; idle polls have none", async () => {
  const { spans } = traced();
  const clock = new FakeClock();
  const slowly = (): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(() => resolve(), 300));
  const scanning = scan(["1", "2"], slowly, { group: new LeaseGroup({ leaseMs: 1000 }), clock });
  await clock.advance(60_000);
  await scanning;

  const polls = spans("GetRecords orders");
  expect(polls).toHaveLength(1);
  expect(polls[0]!.kind).toBe(SpanKind.CLIENT);
  expect(polls[0]!.attributes).toMatchObject({
    "messaging.operation.type": "receive",
    "messaging.batch.message_count": 2,
    "messaging.destination.partition.id": SHARD,
  });
  const writes = spans("setCheckpoints orders");
  expect(writes.length).toBeGreaterThan(0);
  expect(writes.at(-1)!.attributes["kinesis.consumer.shards"]).toEqual([SHARD]);
  expect(spans("lease").map(({ name }) => name)).toEqual([
    "lease acquired orders",
    "lease released orders",
  ]);
  expect(spans("lease")[0]!.attributes).toMatchObject({
    "kinesis.consumer.reason": "new",
    "kinesis.consumer.epoch": 1,
  });
});

test("operations that are not asked for have no spans, nor has anything after the end", async () => {
  const { tracing, spans } = traced({ operations: ["poll"] });
  await scan(
    ["1"],
    tracing.handler(() => {}),
  );
  expect(spans("process")).toEqual([]);
  expect(spans("GetRecords")).toHaveLength(1);
  tracing[Symbol.dispose]();
  await scan(["1"], () => {});
  expect(spans("GetRecords")).toHaveLength(1);
  expect(tracingChannel(CHANNELS.poll).hasSubscribers).toBe(false);
});

test("an extract that throws costs the link, and a tracer that throws the span, and no record", async () => {
  const warned = vi.fn<(...what: unknown[]) => void>();
  const nothing = (): void => {};
  diag.setLogger({ error: warned, warn: warned, info: nothing, debug: nothing, verbose: nothing });
  onTestFinished(() => diag.disable());
  const { spans } = traced({
    extract: ({ data }) => {
      throw new SyntaxError(`no JSON: ${Buffer.from(data).toString()}`);
    },
  });
  const broken = new OpenTelemetryTracing({
    tracerProvider: {
      getTracer: () => ({
        startSpan: () => {
          throw new Error("broken");
        },
        startActiveSpan: nothing,
      }),
    },
  });
  onTestFinished(() => broken[Symbol.dispose]());
  expect(await scan(["card-1", "card-2"], () => {})).toBeUndefined();
  expect(spans("process").map(({ links }) => links)).toEqual([[], []]);
  expect(warned.mock.calls.flat().join()).toMatch(/extract failed.*SyntaxError/s);
  // It may quote the record, as JSON.parse does.
  expect(warned.mock.calls.flat().join()).not.toContain("card");
  expect(warned.mock.calls.flat().join()).toMatch(/could not be created.*broken/s);
});

test("spans arrive at an OTLP receiver", async () => {
  await using receiver = await startOtlp();
  const exporter = new OTLPTraceExporter({ url: `${receiver.url}/v1/traces` });
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  onTestFinished(() => trace.disable());
  const tracing = new OpenTelemetryTracing({ operations: ["handle"] });
  onTestFinished(() => tracing[Symbol.dispose]());
  await scan(["1"], () => {});
  await provider.shutdown();
  expect(JSON.stringify(receiver.bodies)).toContain('"name":"process orders"');
});

test.each([
  [{ tracerProvider: {} }, "tracerProvider"],
  [{ operations: ["polls"] }, "operations"],
  [{ operations: "poll" }, "operations"],
  [{ extract: "traceparent" }, "extract"],
  [{ tracer: {} }, "tracer"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new OpenTelemetryTracing(options as unknown as OpenTelemetryTracingOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

test("a batch in the handler is one span, with its size, and fails as its handler does", () => {
  const { spans } = traced({ operations: ["handleBatch"] });
  const message = { stream: "orders", application: "billing", shardId: "shardId-0" };
  const records = [{}, {}, {}];
  const channel = tracingChannel<object, object>(CHANNELS.handleBatch);
  channel.traceSync(() => 1, { ...message, records });
  const fail = (): never => {
    throw new TypeError("quotes the record");
  };
  expect(() => channel.traceSync(fail, { ...message, records: [{}] })).toThrow(TypeError);
  const [done, failed] = spans("process");
  expect(done!.attributes).toMatchObject({ "messaging.batch.message_count": 3 });
  expect(failed!.status.message).toBe("TypeError");
});
