import type { Datum } from "./aggregate.ts";
import { cloudWatchName } from "./names.ts";
import type { Layout, OnLost, Sink } from "./sink.ts";

/** The part of the SDK's `CloudWatch` that is used here. */
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

/** The service's: metrics and bytes of one request, these with room for what is around them. */
const MOST_METRICS = 1000;
const MOST_BYTES = 900_000;

/** Calls PutMetricData, as often as an interval's figures need, one call after the other. */
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
    for (const MetricData of requestsOf(data.map((datum) => this.#format(datum, at)))) {
      try {
        await this.#client.putMetricData(
          { Namespace: this.#layout.namespace, MetricData },
          { abortSignal: AbortSignal.timeout(this.#timeoutMs) },
        );
      } catch {
        // Told by the count of what was lost; the SDK has tried more than once.
        this.#onLost(MetricData.length);
      }
    }
  }

  close(): void {}

  #format({ metric, dimensions, figure }: Datum, at: Date): MetricDatum {
    const { name, unit } = cloudWatchName(metric);
    return {
      MetricName: name,
      Unit: unit,
      Timestamp: at,
      StorageResolution: this.#layout.storageResolution,
      Dimensions: Object.entries({ ...this.#layout.dimensions, ...dimensions }).map(
        ([Name, Value]) => ({ Name, Value }),
      ),
      ...(typeof figure === "number"
        ? { Value: figure }
        : { Values: [...figure.values], Counts: [...figure.counts] }),
    };
  }
}

function requestsOf(data: readonly MetricDatum[]): readonly MetricDatum[][] {
  const requests: MetricDatum[][] = [];
  let bytes = Infinity;
  for (const datum of data) {
    const size = JSON.stringify(datum).length;
    if (bytes + size > MOST_BYTES || requests.at(-1)!.length === MOST_METRICS) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(datum);
    bytes += size;
  }
  return requests;
}
