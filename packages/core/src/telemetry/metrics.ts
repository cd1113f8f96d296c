import { KC_ERROR_CODES } from "../errors.ts";

/**
 * Every metric, in one map: the names and attributes that counters are typed by, and the table in
 * `docs/metrics.md`. Each carries `stream` and `application` beside what is listed. Histograms are
 * not reported by shard: a shard's lag shows which one is slow, at a fraction of the series.
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
  batches: {
    kind: "counter",
    unit: "{batch}",
    attributes: ["shardId"],
    description: "Pages of records that were handed to the handler",
  },
  handler_errors: {
    kind: "counter",
    unit: "{error}",
    attributes: ["shardId"],
    description: "Records at which the handler threw or rejected",
  },
  handler_attempts: {
    kind: "counter",
    unit: "{attempt}",
    attributes: ["shardId"],
    description: "Further attempts with records that the handler had failed at",
  },
  records_given_up: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId", "reason"],
    values: { reason: ["attempts", "age", "non-retriable", "undecodable"] },
    description:
      "Records that were given up and are skipped, or go to the dead-letter queue: their attempts are over, they are too old, or another attempt makes no sense",
  },
  dead_letters: {
    kind: "counter",
    unit: "{letter}",
    attributes: ["shardId"],
    description: "Records whose letters the dead-letter queue has acknowledged",
  },
  empty_polls: {
    kind: "counter",
    unit: "{poll}",
    attributes: ["shardId"],
    description: "Replies of GetRecords without a record",
  },
  throttles: {
    kind: "counter",
    unit: "{call}",
    attributes: ["shardId"],
    description:
      "Requests of GetRecords that went beyond the shard's quota, those that the SDK repeated by itself included",
  },
  checkpoints: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["written", "same", "behind", "lost", "failed"] },
    description:
      "Checkpoint writes, by what became of them: written, same, behind another's, lost with the lease, or failed",
  },
  transactions: {
    kind: "counter",
    unit: "{transaction}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["committed", "done", "lost", "failed"] },
    description:
      "Transactions of scanTransaction, by what became of them: committed, done already, lost with the lease, or failed",
  },
  checkpoints_coalesced: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description: "Checkpoints that were not written by themselves, since a later one covered them",
  },
  ahead_dropped: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description:
      "Checkpoints whose text of what is done beyond their position was damaged: those records repeat",
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
    values: { error: [...KC_ERROR_CODES, "LOGGER_FAILED"] },
    description:
      "Errors that ended a scan or came while it stopped, by code; LOGGER_FAILED for each line that the logger threw at",
  },
  iterator_refreshes: {
    kind: "counter",
    unit: "{iterator}",
    attributes: ["shardId"],
    description: "Iterators that expired and were recreated after the last record delivered",
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
  out_of_range_records: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["left-out", "delivered"] },
    description:
      "User records of KPL aggregates whose keys belong to another shard than the one they came from, by what became of them",
  },
  dropped_metrics: {
    kind: "counter",
    unit: "{value}",
    attributes: [],
    description: "Values that the counter threw at, or could not deliver",
  },
  leases_acquired: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    values: { reason: ["new", "given-back", "taken-over", "adopted"] },
    description:
      "Leases that this worker claimed: never held before, given back by another, taken over from one that died, or adopted after a lost reply",
  },
  leases_released: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    values: { reason: ["released", "stopped", "ended", "aged-out", "forced", "failed"] },
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
    fold: "sum",
    description: "Leases in this worker's hand",
  },
  workers: {
    kind: "gauge",
    unit: "{worker}",
    attributes: [],
    fold: "max",
    description: "Workers of the application that live, as this one sees it",
  },
  unassigned_shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: [],
    fold: "max",
    description:
      "Shards that could be read and that no worker holds; reported by the worker with the lowest id alone",
  },
  unassigned_age: {
    kind: "gauge",
    unit: "ms",
    attributes: [],
    fold: "max",
    description:
      "How long the oldest of these has had no worker; reported by the worker with the lowest id alone",
  },
  shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: ["state"],
    fold: "sum",
    description:
      "Shards in this process's hand, by state: waiting, reading, handling, retrying, paused (by the store or the lease), paused-by-user, draining, or abandoned with a handler that has not returned",
  },
  lag: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "max",
    description:
      "How far handled records are behind the shard's tip; grows while nothing is read or handled",
  },
  retention_headroom: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "min",
    description:
      "How long the stream will still keep what is not handled: its retention less the lag. Absent while that is not known",
  },
  checkpoint_age: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "max",
    description: "How long finished work has waited for the store",
  },
  unread_age: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "max",
    description:
      "How long GetRecords has been due without a reply: it fails, hangs, or waits for its turn, quota or memory",
  },
  outage_age: {
    kind: "gauge",
    unit: "ms",
    attributes: ["operation"],
    fold: "max",
    description:
      "How long a call for the whole stream, or of the store, has failed; absent while it is answered",
  },
  records_in_flight: {
    kind: "gauge",
    unit: "{record}",
    attributes: ["shardId"],
    fold: "sum",
    description: "Records that were read and are not handled yet",
  },
  keys_held_up: {
    kind: "gauge",
    unit: "{key}",
    attributes: ["shardId"],
    fold: "sum",
    description:
      "Keys whose later records wait, since one of theirs has failed and is not done yet",
  },
  ahead_bytes: {
    kind: "gauge",
    unit: "By",
    attributes: ["shardId"],
    fold: "max",
    description:
      "Text of what is done beyond the position, in the last checkpoint that the store has acknowledged",
  },
  buffer_bytes: {
    kind: "gauge",
    unit: "By",
    attributes: [],
    fold: "sum",
    description: "Memory of pages that are handled, wait, or are on their way",
  },
  poll_delay: {
    kind: "gauge",
    unit: "ms",
    attributes: [],
    fold: "max",
    description:
      "How much later than their intervals say shards are polled, since they are too many for the calls, or the calls too slow",
  },
  handler_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description:
      "What a record takes in the handler: the mean over a page, or over a second where a page takes longer",
  },
  batch_size: {
    kind: "histogram",
    unit: "{record}",
    attributes: [],
    description: "Records of a batch that the handler was given, further attempts included",
  },
  poll_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description: "What a try of GetRecords takes; with `error` if it failed",
  },
  checkpoint_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description:
      "What a write of checkpoints takes, however many it carries; with `error` if it failed",
  },
  transaction_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description:
      "What a transaction of scanTransaction takes, its handler included; with `error` if it failed",
  },
  event_loop_delay: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description:
      "The longest time in each second that the process's event loop was held up: a handler that blocks",
  },
  takeover_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description: "From a dead worker's last sign of life to the claim of a shard that it held",
  },
} as const satisfies Record<string, MetricDefinition>;

export interface MetricDefinition {
  readonly kind: "counter" | "gauge" | "histogram";
  /** UCUM, as OpenTelemetry writes units. */
  readonly unit: string;
  readonly attributes: readonly string[];
  /** What an attribute can be, where that is known before it counts. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Attributes that not every value has; `shardId` is absent wherever shards are folded. */
  readonly optional?: readonly string[];
  /** How a gauge's values of several shards, or of several consumers in one process, are folded. */
  readonly fold?: "sum" | "max" | "min";
  readonly description: string;
}

export type Metrics = typeof METRICS;
export type MetricName = keyof Metrics;

type OfKind<Kind extends MetricDefinition["kind"]> = {
  [Name in MetricName]: Metrics[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

export type CounterName = OfKind<"counter">;
export type GaugeName = OfKind<"gauge">;
export type HistogramName = OfKind<"histogram">;

type OwnAttribute<Name extends MetricName> = Metrics[Name]["attributes"][number];
type OptionalAttribute<Name extends MetricName> =
  | Extract<OwnAttribute<Name>, "shardId">
  | (Metrics[Name] extends { readonly optional: readonly (infer Attribute extends string)[] }
      ? Attribute
      : never);

/**
 * The attributes of one metric: its own, and those that every metric carries. `shardId` is absent
 * where shards are folded, `error` where nothing failed.
 */
export type MetricAttributes<Name extends MetricName = MetricName> = Readonly<
  Record<Exclude<OwnAttribute<Name>, OptionalAttribute<Name>> | "stream" | "application", string>
> & { readonly [Attribute in OptionalAttribute<Name>]?: string };

/** Those that a metric has beside the source's. */
export type OwnAttributes<Name extends MetricName> = Omit<
  MetricAttributes<Name>,
  "stream" | "application"
>;
