import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import { Aggregate } from "./aggregate.ts";
import { EmfSink } from "./emf-sink.ts";
import { checkOptions, type CloudWatchCounterOptions } from "./options.ts";
import { PutMetricDataSink } from "./put-metric-data-sink.ts";
import type { Sink } from "./sink.ts";

/**
 * A consumer's metrics in CloudWatch. They are aggregated in memory and reported once per interval: in the embedded
 * metric format on standard output or another stream, or by PutMetricData. Values that cannot be delivered are lost and
 * counted in `dropped`; the consumer never waits for them.
 */
export class CloudWatchCounter implements Counter, AsyncDisposable {
  readonly perShard: boolean;
  readonly #aggregate = new Aggregate();
  readonly #sink: Sink;
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #dropped = 0;

  /** @throws ConfigError if an option is wrong */
  constructor(options: CloudWatchCounterOptions = {}) {
    const { namespace, dimensions, intervalMs, perShard, to } = checkOptions(options);
    this.perShard = perShard;
    const layout = {
      namespace,
      dimensions,
      storageResolution: intervalMs < 60_000 ? 1 : 60,
    } as const;
    const onLost = (values: number): void => void (this.#dropped += values);
    this.#sink =
      "client" in to
        ? new PutMetricDataSink(to.client, to.timeoutMs, layout, onLost)
        : new EmfSink(to.output, to.maxBufferedBytes, layout, onLost);
    this.#timer = setInterval(() => {
      // While a report is in flight, new values wait for the next one.
      if (this.#sending === undefined) void this.flush();
    }, intervalMs).unref();
  }

  /** The number of values that could not be delivered. */
  get dropped(): number {
    return this.#dropped;
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#aggregate.add(name, value, attributes);
  }

  set<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void {
    this.#aggregate.set(name, value, attributes);
  }

  record<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#aggregate.record(name, value, attributes);
  }

  remove<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#aggregate.remove(name, attributes);
  }

  /** Reports the values so far, for example at the end of a Lambda invocation. Never rejects. */
  flush(): Promise<void> {
    const sending = this.#send(this.#sending).finally(() => {
      if (this.#sending === sending) this.#sending = undefined;
    });
    this.#sending = sending;
    return sending;
  }

  /** Reports the last interval and stops the timer. You own the stream and the client: they stay open. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
    this.#sink.close();
  }

  async #send(before: Promise<void> | undefined): Promise<void> {
    await before;
    const data = this.#aggregate.take();
    if (data.length > 0) await this.#sink.send(data, new Date());
  }
}
