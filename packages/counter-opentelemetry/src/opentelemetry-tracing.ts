import {
  CHANNELS,
  ConfigError,
  type BatchHandler,
  type CheckpointMessage,
  type ConsumerRecord,
  type HandleBatchMessage,
  type HandleMessage,
  type Handler,
  type LeaseMessage,
  type PollMessage,
} from "@kc/core";
import { checkFunction, checkMethods, checkOptionNames, typeOfError } from "@kc/core/adapter";
import {
  context,
  diag,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import {
  batchAttributes,
  checkpointAttributes,
  failCall,
  failHandling,
  handleAttributes,
  leaseAttributes,
  pollAttributes,
} from "./spans.ts";
import { type Call, failed, onCalls, onMessages } from "./subscribe.ts";

export type TracedOperation = keyof typeof CHANNELS;

export interface OpenTelemetryTracingOptions {
  /** @default the global provider */
  readonly tracerProvider?: TracerProvider;
  /** The operations for which spans are created. @default all */
  readonly operations?: readonly TracedOperation[];
  /**
   * For records that carry their producer's trace context: returns the headers that the global propagator reads
   * (`traceparent`, `tracestate`), or `undefined`. The record's span is linked to that context. If it throws, there is no
   * link, and the error's type is logged to OpenTelemetry's `diag`. @default none
   */
  readonly extract?: (record: ConsumerRecord) => Readonly<Record<string, string>> | undefined;
}

const OPTION_NAMES = ["tracerProvider", "operations", "extract"];
const OPERATIONS = Object.keys(CHANNELS) as TracedOperation[];

/**
 * Creates spans for the consumers of this process, until it is closed: one for each record or batch in the handler, each
 * poll that returns records or fails, each write of checkpoints, and each lease that is acquired or lost. They have no
 * parent, since a scan lasts for days.
 */
export class OpenTelemetryTracing implements Disposable {
  readonly #tracer: Tracer;
  readonly #extract: OpenTelemetryTracingOptions["extract"];
  /** The open spans, by record or batch in the handler, or by the message of a checkpoint write. */
  readonly #spans = new WeakMap<object, Span>();
  readonly #pollBegan = new WeakMap<PollMessage, number>();
  readonly #unsubscribe: readonly (() => void)[];

  /** @throws ConfigError if an option is wrong */
  constructor(options: OpenTelemetryTracingOptions = {}) {
    const { tracerProvider, operations, extract } = checkOptions(options);
    this.#tracer = tracerProvider.getTracer("@kc/counter-opentelemetry");
    this.#extract = extract;
    this.#unsubscribe = operations.map((operation) => this.#subscribe(operation));
  }

  /** Wraps a handler so that each record's span is active in it: spans of its calls become children of that span. */
  handler(handler: Handler): Handler {
    return (record, handlerContext) => this.#within(record, () => handler(record, handlerContext));
  }

  /** The same for `scanBatch`, with each batch's span. */
  batchHandler(handler: BatchHandler): BatchHandler {
    return (records, handlerContext) =>
      this.#within(records, () => handler(records, handlerContext));
  }

  /** Creates no more spans. Open spans are not ended. Idempotent. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs `call` with the span of the record or batch active, if there is one. */
  #within(work: object, call: () => unknown): unknown {
    const span = this.#spans.get(work);
    if (span === undefined) return call();
    return context.with(trace.setSpan(context.active(), span), call);
  }

  #subscribe(operation: TracedOperation): () => void {
    const name = CHANNELS[operation];
    switch (operation) {
      case "poll":
        return onCalls<PollMessage>(
          name,
          (message) => void this.#pollBegan.set(message, Date.now()),
          (message) => this.#endPoll(message),
        );
      case "handle":
        return onCalls<HandleMessage>(
          name,
          (message) => this.#beginHandle(message),
          (message) => this.#end(message.record, message, failHandling),
        );
      case "handleBatch":
        return onCalls<HandleBatchMessage>(
          name,
          (message) => this.#beginBatch(message),
          (message) => this.#end(message.records, message, failHandling),
        );
      case "checkpoint":
        return onCalls<CheckpointMessage>(
          name,
          (message) => this.#beginCheckpoint(message),
          (message) => this.#end(message, message, failCall),
        );
      case "lease":
        return onMessages<LeaseMessage>(name, (message) => this.#recordLease(message));
    }
  }

  /** Empty polls get no span: at four a second for each idle shard, they would bury the others. */
  #endPoll(message: PollMessage): void {
    if (!failed(message) && message.records === 0) return;
    const span = this.#tracer.startSpan(
      `GetRecords ${message.stream}`,
      {
        kind: SpanKind.CLIENT,
        startTime: this.#pollBegan.get(message) ?? Date.now(),
        attributes: pollAttributes(message),
      },
      ROOT_CONTEXT,
    );
    endSpan(span, message, failCall);
  }

  #beginHandle(message: HandleMessage): void {
    const span = this.#tracer.startSpan(
      `process ${message.stream}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: handleAttributes(message),
        links: this.#linksOf(message.record),
      },
      ROOT_CONTEXT,
    );
    this.#spans.set(message.record, span);
  }

  #beginBatch(message: HandleBatchMessage): void {
    const span = this.#tracer.startSpan(
      `process ${message.stream}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: batchAttributes(message),
        links: message.records.flatMap((record) => this.#linksOf(record)),
      },
      ROOT_CONTEXT,
    );
    this.#spans.set(message.records, span);
  }

  #beginCheckpoint(message: CheckpointMessage): void {
    const attributes = checkpointAttributes(message);
    const span = this.#tracer.startSpan(
      `setCheckpoints ${message.stream}`,
      { kind: SpanKind.CLIENT, attributes },
      ROOT_CONTEXT,
    );
    this.#spans.set(message, span);
  }

  #recordLease(message: LeaseMessage): void {
    this.#tracer
      .startSpan(
        `lease ${message.change} ${message.stream}`,
        { attributes: leaseAttributes(message) },
        ROOT_CONTEXT,
      )
      .end();
  }

  #end(of: object, message: Call, fail: Fail): void {
    const span = this.#spans.get(of);
    if (span === undefined) return;
    this.#spans.delete(of);
    endSpan(span, message, fail);
  }

  #linksOf(record: ConsumerRecord): Link[] {
    try {
      const headers = this.#extract?.(record);
      if (headers === undefined) return [];
      const producer = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, headers));
      return producer === undefined ? [] : [{ context: producer }];
    } catch (error) {
      // Only the type: the message of a parser's error may quote the record.
      const type = typeOfError(error);
      diag.warn(`@kc/counter-opentelemetry: extract failed; the span has no link: ${type}`);
      return [];
    }
  }
}

type Fail = (span: Span, error: unknown) => void;

/** Ends the span, even if the failure cannot be described. */
function endSpan(span: Span, message: Call, fail: Fail): void {
  try {
    if (failed(message)) fail(span, message.error);
  } finally {
    span.end();
  }
}

function checkOptions(options: OpenTelemetryTracingOptions): {
  readonly tracerProvider: TracerProvider;
  readonly operations: readonly TracedOperation[];
  readonly extract: OpenTelemetryTracingOptions["extract"];
} {
  checkOptionNames("OpenTelemetryTracing", options, OPTION_NAMES);
  const { tracerProvider = trace.getTracerProvider(), operations = OPERATIONS, extract } = options;
  checkMethods(
    "tracerProvider",
    tracerProvider,
    ["getTracer"],
    "a TracerProvider of OpenTelemetry",
  );
  if (!Array.isArray(operations) || !operations.every((each) => OPERATIONS.includes(each))) {
    throw new ConfigError("operations", `must be a list of some of ${OPERATIONS.join(", ")}`);
  }
  if (extract !== undefined) checkFunction("extract", extract);
  return { tracerProvider, operations, extract };
}
