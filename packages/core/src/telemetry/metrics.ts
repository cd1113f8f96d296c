import { KC_ERROR_CODES } from "../errors.ts";

/**
 * All metrics: their names and attributes type the `Counter`, and `docs/metrics.md` has the same table. Each metric
 * also has the attributes `stream` and `application`. Histograms are not reported per shard: the lag of the shards
 * shows which one is slow, with far fewer series.
 */
export const METRICS = {
  records: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId"],
    description: "Records handed to the handler, including those answered with SkipCheckpoint",
  },
  bytes: {
    kind: "counter",
    unit: "By",
    attributes: ["shardId"],
    description: "Bytes of record data handed to the handler",
  },
  batches: {
    kind: "counter",
    unit: "{batch}",
    attributes: ["shardId"],
    description: "Pages of records handed to the handler",
  },
  handler_errors: {
    kind: "counter",
    unit: "{error}",
    attributes: ["shardId"],
    description: "Records for which the handler threw or rejected",
  },
  handler_attempts: {
    kind: "counter",
    unit: "{attempt}",
    attributes: ["shardId"],
    description: "Further attempts at records for which the handler had failed",
  },
  records_given_up: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId", "reason"],
    values: { reason: ["attempts", "age", "non-retriable", "undecodable"] },
    description:
      "Records that were given up, and skipped or sent to the dead-letter queue: no attempts left, too old, not retriable, or undecodable",
  },
  dead_letters: {
    kind: "counter",
    unit: "{letter}",
    attributes: ["shardId"],
    description: "Records whose dead letters the queue has acknowledged",
  },
  empty_polls: {
    kind: "counter",
    unit: "{poll}",
    attributes: ["shardId"],
    description: "GetRecords replies without records",
  },
  throttles: {
    kind: "counter",
    unit: "{call}",
    attributes: ["shardId"],
    description:
      "GetRecords requests that exceeded the shard's quota, including those that the SDK retried itself",
  },
  checkpoints: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["written", "same", "behind", "lost", "failed"] },
    description:
      "Checkpoint writes, by outcome: written, same as stored, behind the stored one, lost with the lease, or failed",
  },
  transactions: {
    kind: "counter",
    unit: "{transaction}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["committed", "done", "lost", "failed"] },
    description:
      "Transactions of scanTransaction, by outcome: committed, done before, lost with the lease, or failed",
  },
  checkpoints_coalesced: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description: "Checkpoints that were not written because a later one covered them",
  },
  ahead_dropped: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description:
      "Checkpoints whose list of records done beyond their position was damaged: those records repeat",
  },
  retries: {
    kind: "counter",
    unit: "{call}",
    attributes: ["operation", "error"],
    description: "Calls to Kinesis or the store that failed temporarily and are retried",
  },
  errors: {
    kind: "counter",
    unit: "{error}",
    attributes: ["error"],
    values: { error: [...KC_ERROR_CODES, "LOGGER_FAILED"] },
    description:
      "Errors that ended a scan or occurred while it stopped, or for which leases were given up, by code; LOGGER_FAILED for each log line at which the logger threw",
  },
  iterator_refreshes: {
    kind: "counter",
    unit: "{iterator}",
    attributes: ["shardId"],
    description:
      "Expired shard iterators that were replaced by one after the last delivered record",
  },
  wire_fallbacks: {
    kind: "counter",
    unit: "{fallback}",
    attributes: [],
    description: "Scans that fell back from CBOR to JSON because the endpoint did not support CBOR",
  },
  trimmed: {
    kind: "counter",
    unit: "{checkpoint}",
    attributes: ["shardId"],
    description: "Checkpoints and shards overtaken by retention: unread records may have been lost",
  },
  out_of_range_records: {
    kind: "counter",
    unit: "{record}",
    attributes: ["shardId", "outcome"],
    values: { outcome: ["left-out", "delivered"] },
    description:
      "User records of KPL aggregates whose keys belong to another shard, by outcome: left out or delivered",
  },
  dropped_metrics: {
    kind: "counter",
    unit: "{value}",
    attributes: [],
    description: "Metric values that were lost because the counter threw or could not deliver them",
  },
  leases_acquired: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    values: { reason: ["new", "released", "taken-over", "adopted"] },
    description:
      "Leases that this worker claimed, by reason: new, given back by another worker, taken over from a dead one, or adopted after a lost reply",
  },
  leases_released: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["reason"],
    values: { reason: ["released", "stopped", "ended", "aged-out", "forced", "failed"] },
    description:
      "Leases that this worker released, by reason: handed over, stopped, shard ended, shard aged out, forced at a deadline, or shard failed",
  },
  leases_lost: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["shardId"],
    description: "Leases that were lost before this worker released them",
  },
  handoffs_forced: {
    kind: "counter",
    unit: "{lease}",
    attributes: ["shardId"],
    description:
      "Hand-offs that reached their deadline with a handler or a flush still running: unflushed work repeats",
  },
  evictions: {
    kind: "counter",
    unit: "{worker}",
    attributes: [],
    description: "Workers that this worker evicted because they were silent for a lease duration",
  },
  leases_held: {
    kind: "gauge",
    unit: "{lease}",
    attributes: [],
    fold: "sum",
    description: "Leases that this worker holds",
  },
  workers: {
    kind: "gauge",
    unit: "{worker}",
    attributes: [],
    fold: "max",
    description: "Live workers of the application, as seen by this worker",
  },
  unassigned_shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: [],
    fold: "max",
    description:
      "Readable shards that no worker holds; reported only by the worker with the lowest id",
  },
  unassigned_age: {
    kind: "gauge",
    unit: "ms",
    attributes: [],
    fold: "max",
    description:
      "How long the oldest unassigned shard has had no worker; reported only by the worker with the lowest id",
  },
  shards: {
    kind: "gauge",
    unit: "{shard}",
    attributes: ["state"],
    fold: "sum",
    description:
      "Shards of this process, by state: waiting, reading, handling, retrying, paused (by the store or the lease), paused-by-user, draining, or abandoned with a handler that has not returned",
  },
  lag: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "max",
    description:
      "How far handled records are behind the tip of the shard; grows while nothing is read or handled",
  },
  retention_headroom: {
    kind: "gauge",
    unit: "ms",
    attributes: ["shardId"],
    fold: "min",
    description:
      "How long the stream will still keep unhandled records: its retention minus their age; absent while unknown",
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
      "How long a call for the whole stream, or to the store, has been failing; absent while it is answered",
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
      "Keys whose later records wait because an earlier one has failed and is not done yet",
  },
  ahead_bytes: {
    kind: "gauge",
    unit: "By",
    attributes: ["shardId"],
    fold: "max",
    description:
      "Size of the list of records done beyond the position, in the last acknowledged checkpoint",
  },
  buffer_bytes: {
    kind: "gauge",
    unit: "By",
    attributes: [],
    fold: "sum",
    description: "Memory of pages that are being handled, waiting, or requested",
  },
  poll_delay: {
    kind: "gauge",
    unit: "ms",
    attributes: [],
    fold: "max",
    description:
      "How much later than their intervals shards are polled, because there are too many shards or calls are too slow",
  },
  handler_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description:
      "Handler time per record: the mean over a page, or over a second if a page takes longer",
  },
  batch_size: {
    kind: "histogram",
    unit: "{record}",
    attributes: [],
    description: "Records per batch handed to the handler, including further attempts",
  },
  poll_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description: "Duration of one GetRecords attempt; with `error` if it failed",
  },
  checkpoint_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description:
      "Duration of one checkpoint write, of any number of shards; with `error` if it failed",
  },
  transaction_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: ["error"],
    optional: ["error"],
    description:
      "Duration of a transaction of scanTransaction, including its handler; with `error` if it failed",
  },
  event_loop_delay: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description:
      "Longest delay of the process's event loop in each second: a handler that blocks raises it",
  },
  takeover_duration: {
    kind: "histogram",
    unit: "ms",
    attributes: [],
    description: "Time from a dead worker's last sign of life to the claim of a shard that it held",
  },
} as const satisfies Record<string, MetricDefinition>;

export interface MetricDefinition {
  readonly kind: "counter" | "gauge" | "histogram";
  /** A UCUM code, as in OpenTelemetry. */
  readonly unit: string;
  readonly attributes: readonly string[];
  /** The possible values of an attribute, if they are known in advance. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Attributes that some values lack. `shardId` is also absent if the counter is not `perShard`. */
  readonly optional?: readonly string[];
  /** How a gauge combines the values of several shards, or of several consumers in one process. */
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
 * The attributes of a metric: its own, and those of every metric. `shardId` is absent if the counter is not
 * `perShard`, `error` if nothing failed.
 */
export type MetricAttributes<Name extends MetricName = MetricName> = Readonly<
  Record<Exclude<OwnAttribute<Name>, OptionalAttribute<Name>> | "stream" | "application", string>
> & { readonly [Attribute in OptionalAttribute<Name>]?: string };

/** The attributes of a metric without `stream` and `application`. */
export type OwnAttributes<Name extends MetricName> = Omit<
  MetricAttributes<Name>,
  "stream" | "application"
>;
