/**
 * Every metric, in one map: the names and attributes that counters are typed by, and the table in
 * `docs/metrics.md`. Each carries `stream` and `application` beside what is listed.
 */
export const METRICS = {
  records: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId"],
    description: "Records handed to the handler, those answered with SkipCheckpoint included",
  },
  bytes: {
    kind: "counter",
    unit: "By",
    attributes: ["shardId"],
    description: "Data of the records handed to the handler",
  },
  checkpoints: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId", "outcome"],
    description: "Checkpoints acknowledged by the store: written, same, or behind another's",
  },
  retries: {
    kind: "counter",
    unit: "{call}",
    attributes: ["operation", "error"],
    description: "Calls to Kinesis or the store that failed in passing and are tried again",
  },
  errors: {
    kind: "counter",
    unit: "{error}",
    attributes: ["error"],
    description:
      "Errors that ended a scan or came while it stopped, by code; LOGGER_FAILED for each line that the logger threw at",
  },
  iterator_refreshes: {
    kind: "counter",
    unit: "{iterator}",
    attributes: ["shardId"],
    description: "Iterators that expired and were made anew after the last record delivered",
  },
  wire_fallbacks: {
    kind: "counter",
    unit: "{fallback}",
    attributes: [],
    description: "Scans that went over from CBOR to JSON, because CBOR was not understood",
  },
  trimmed: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description:
      "Checkpoints and shards that retention has overtaken: records may have been lost unread",
  },
  leases_acquired: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    description:
      "Leases that this worker claimed: never held before, given back by another, taken over from one that died, or adopted after a lost reply",
  },
  leases_released: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    description:
      "Leases that this worker gave back: handed over, at a stop, at the shard's end, or gone with the shard",
  },
  leases_lost: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["shardId"],
    description: "Leases that were gone before this worker gave them back",
  },
  handoffs_forced: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["shardId"],
    description:
      "Hand-overs whose time ran out with a handler or a flush under way: what was not flushed is repeated",
  },
  evictions: {
    kind: "counter",
    unit: "{worker}",
    attributes: [],
    description: "Workers that this one found silent for a lease's duration, and evicted",
  },
  leases_held: {
    kind: "gauge",
    unit: "{lease}",
    attributes: [],
    description: "Leases in this worker's hand",
  },
  workers: {
    kind: "gauge",
    unit: "{worker}",
    attributes: [],
    description: "Workers of the application that live, as this one sees it",
  },
  unassigned_shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: [],
    description:
      "Shards that could be read and that no worker holds; told by the worker with the lowest id alone",
  },
  unassigned_age: {
    kind: "gauge",
    unit: "ms",
    attributes: [],
    description:
      "How long the oldest of these has had no worker; told by the worker with the lowest id alone",
  },
  active_shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: [],
    description: "Shards this process reads now",
  },
  lag: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    description:
      "How far handled records are behind the shard's tip; grows while nothing is read or handled",
  },
} as const satisfies Record<string, MetricDefinition>;

export interface MetricDefinition {
  readonly kind: "counter" | "gauge";
  /** UCUM, as OpenTelemetry writes units. */
  readonly unit: string;
  readonly attributes: readonly string[];
  readonly description: string;
}

export type Metrics = typeof METRICS;
export type MetricName = keyof Metrics;

type OfKind<Kind extends MetricDefinition["kind"]> = {
  [Name in MetricName]: Metrics[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

export type CounterName = OfKind<"counter">;
export type GaugeName = OfKind<"gauge">;

/** The attributes of one metric: its own, and those that every metric carries. */
export type MetricAttributes<Name extends MetricName = MetricName> = Readonly<
  Record<Metrics[Name]["attributes"][number] | "stream" | "application", string>
>;
