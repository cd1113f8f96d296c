import { CallLimit } from "@kc/core/adapter";
import type { Datum } from "./aggregate.ts";
import { cloudWatchName } from "./names.ts";
import type { Layout, OnLost, Sink } from "./sink.ts";

/** The part of the SDK's `CloudWatch` that the counter uses. */
export interface CloudWatchLike {
  putMetricData(
    input: {
      readonly Namespace: string;
      // The SDK's own types are mutable.
      MetricData: MetricDatum[];
    },
    options: { readonly abortSignal: AbortSignal },
  ): Promise<unknown>;
}

interface MetricDatum {
  MetricName: string;
  Unit: "Bytes" | "Count" | "Milliseconds";
  Timestamp: Date;
  StorageResolution: number;
  Dimensions: { Name: string; Value: string }[];
  Value?: number;
  Values?: number[];
  Counts?: number[];
}

/** The service's limits: values of a datum; data and bytes of a request, the latter with a margin for the envelope. */
const MAX_VALUES = 150;
const MAX_METRICS = 1000;
const MAX_BYTES = 900_000;

/** Calls PutMetricData as often as an interval's metrics require, one call after the other. */
export class PutMetricDataSink implements Sink {
  readonly #client: CloudWatchLike;
  readonly #timeoutMs: number;
  readonly #layout: Layout;
  readonly #onLost: OnLost;

  constructor(client: CloudWatchLike, timeoutMs: number, layout: Layout, onLost: OnLost) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.#layout = layout;
    this.#onLost = onLost;
  }

  async send(data: readonly Datum[], at: Date): Promise<void> {
    for (const MetricData of requestsOf(data.flatMap((datum) => this.#format(datum, at)))) {
      // The SDK reacts to an abort only once it has credentials. The limit also ends a call whose provider hangs.
      const limit = new CallLimit({
        timeoutMs: this.#timeoutMs,
        onTimeout: () => new Error(`PutMetricData did not answer within ${this.#timeoutMs} ms`),
        signals: [],
      });
      try {
        const Namespace = this.#layout.namespace;
        const options = { abortSignal: limit.signal };
        await limit.wait(this.#client.putMetricData({ Namespace, MetricData }, options));
      } catch {
        // The count of lost values reports it. The SDK has retried already.
        this.#onLost(MetricData.length);
      } finally {
        limit.stop();
      }
    }
  }

  close(): void {}

  /** Splits a datum with too many values into several: the service merges data with the same time and name. */
  #format({ metric, dimensions, value }: Datum, at: Date): MetricDatum[] {
    const { name, unit } = cloudWatchName(metric);
    const own = { ...this.#layout.dimensions, ...dimensions };
    const base: MetricDatum = {
      MetricName: name,
      Unit: unit,
      Timestamp: at,
      StorageResolution: this.#layout.storageResolution,
      Dimensions: Object.entries(own).map(([Name, Value]) => ({ Name, Value })),
    };
    if (typeof value === "number") return [{ ...base, Value: value }];
    const parts = Array.from({ length: Math.ceil(value.values.length / MAX_VALUES) }, (_, n) => {
      const [from, to] = [n * MAX_VALUES, (n + 1) * MAX_VALUES];
      return { Values: value.values.slice(from, to), Counts: value.counts.slice(from, to) };
    });
    return parts.map((part) => ({ ...base, ...part }));
  }
}

function requestsOf(data: readonly MetricDatum[]): readonly MetricDatum[][] {
  const requests: MetricDatum[][] = [];
  let bytes = Infinity;
  for (const datum of data) {
    const size = formBytes(DATUM, datum);
    if (bytes + size > MAX_BYTES || requests.at(-1)!.length === MAX_METRICS) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(datum);
    bytes += size;
  }
  return requests;
}

/** The longest prefix of a datum's members in a form. */
const DATUM = `MetricData.member.${MAX_METRICS}`;

/**
 * The size of a value in a URL-encoded form, the longest serialization that an SDK may use: each number has its full
 * name, which takes five times the bytes of JSON.
 */
function formBytes(name: string, value: unknown): number {
  if (value instanceof Date) return formBytes(name, value.toISOString());
  if (typeof value !== "object" || value === null) {
    return name.length + encodeURIComponent(String(value)).length + "=&".length;
  }
  const entries = Array.isArray(value)
    ? value.map((each: unknown, i) => [`member.${i + 1}`, each] as const)
    : Object.entries(value);
  return entries.reduce((bytes, [key, each]) => bytes + formBytes(`${name}.${key}`, each), 0);
}
