import type { ConsumerStatus, ScanStage, ShardStatus } from "./status.ts";

/** When a condition makes a consumer unhealthy. */
export interface HealthThresholds {
  /** A handler that finishes no record for this many milliseconds is stuck. @default 300000 */
  readonly stuckAfterMs?: number;
  /**
   * The consumer is not ready if one of these lasts for this many milliseconds: a shard gets no reply of GetRecords,
   * the store does not accept finished work, a call for the stream or the store fails. @default 60000
   */
  readonly failingAfterMs?: number;
  /** A shard whose `lagMs` is above this is lagging. @default Infinity */
  readonly laggingAfterMs?: number;
  /**
   * A shard whose `retentionHeadroomMs` is below this is expiring: its unread records will soon be lost. A shard with
   * unknown headroom is not expiring. @default 0
   */
  readonly retentionHeadroomBelowMs?: number;
}

/** The part of a status that determines health. */
export type Observed = Pick<ConsumerStatus, "state" | "stage" | "shards" | "failingCalls">;

/** The result of a health check: `alive` for a liveness probe, `ready` for a readiness probe. */
export interface Health {
  /** False if a restart would help: no scan runs, or a handler is stuck. */
  readonly alive: boolean;
  /** True if the start has completed, and nothing has prevented reading, handling or flushing for long. */
  readonly ready: boolean;
  /** Why it is not ready, one sentence each; empty = it is ready. */
  readonly reasons: readonly string[];
  /** Shards whose handler is stuck: see `stuckAfterMs`. */
  readonly stuckShards: readonly string[];
  /** Shards that get no reply of GetRecords: see `failingAfterMs`. */
  readonly unreadShards: readonly string[];
  /** Shards that are far behind: see `laggingAfterMs`. */
  readonly laggingShards: readonly string[];
  /** Shards whose unread records will soon be removed by retention: see `retentionHeadroomBelowMs`. */
  readonly expiringShards: readonly string[];
}

/** A condition that prevents a consumer from working. */
export interface Condition {
  readonly kind: "idle" | "starting" | "stopping" | "stuck" | "unread" | "unflushed" | "failing" | "lagging" | "expiring"; // prettier-ignore
  /** The shard or operation, to tell apart conditions of one kind; undefined = there is only one. */
  readonly of?: string;
  /** A constant text. */
  readonly message: string;
  /** The variable part, for the fields of a log line. */
  readonly details: ConditionDetails;
}

export interface ConditionDetails {
  readonly shardId?: string;
  /** The affected shards, up to `MAX_SHARDS_NAMED`. */
  readonly shards?: readonly string[];
  /** The number of affected shards. */
  readonly count?: number;
  readonly operation?: string;
  readonly forMs?: number;
  /** The text of the error. */
  readonly why?: string | undefined;
}

/** How many shards a message names. */
const MAX_SHARDS_NAMED = 10;

const STAGES: Readonly<Record<Exclude<ScanStage, "reading">, string>> = {
  describing: "the stream is not described yet",
  opening: "the application is not opened in the store yet",
  joining: "this worker has not joined its group yet",
  listing: "no shards are known yet",
  polling: "no shard was read yet",
};

/** Computes the health from a status. Pure. */
export function healthOf(status: Observed, thresholds: HealthThresholds = {}): Health {
  const conditions = conditionsOf(status, thresholds);
  const { stuck, unread, lagging, expiring } = unhealthyShards(status, thresholds);
  return {
    alive: status.state !== "idle" && stuck.length === 0,
    ready: conditions.length === 0,
    reasons: conditions.map(describeCondition),
    stuckShards: idsOf(stuck),
    unreadShards: idsOf(unread),
    laggingShards: idsOf(lagging),
    expiringShards: idsOf(expiring),
  };
}

/** Returns all conditions that make the consumer not ready. */
export function conditionsOf(
  status: Observed,
  thresholds: HealthThresholds = {},
): readonly Condition[] {
  const { state, stage, failingCalls } = status;
  if (state === "idle" || stage === undefined) {
    return [{ kind: "idle", message: "no scan is under way", details: {} }];
  }
  const { failingAfterMs = 60_000 } = thresholds;
  const { stuck, unread, unflushed, lagging, expiring } = unhealthyShards(status, thresholds);
  const failing = failingCalls.filter(({ forMs }) => stage === "reading" && forMs > failingAfterMs);
  return [
    ...(state === "stopping" ? [stoppingOf(status)] : []),
    ...(stage === "reading" ? [] : [startingOf(stage, status)]),
    ...stuck.map(({ shardId, handlingForMs }): Condition => ({
      kind: "stuck",
      of: shardId,
      message: "a handler does not return",
      details: { shardId, forMs: Math.round(handlingForMs) },
    })),
    ...ofShards("unread", "shards get no reply of GetRecords", unread),
    ...ofShards("unflushed", "the store does not take what is finished", unflushed),
    ...ofShards("lagging", "shards are far behind", lagging),
    ...ofShards("expiring", "the retention of unread records is nearly over", expiring),
    ...failing.map(({ operation, error, forMs }): Condition => ({
      kind: "failing",
      of: operation,
      message: "a call fails",
      details: { operation, forMs, why: error },
    })),
  ];
}

/** Formats a condition as one sentence. */
function describeCondition({ message, details }: Condition): string {
  const { shardId, shards, count, operation, forMs, why } = details;
  const more = shards !== undefined && count! > shards.length ? ` and ${count! - shards.length} more` : ""; // prettier-ignore
  const what = [shardId, shards && `${shards.join(", ")}${more}`, operation, why];
  const reason = what.filter((part) => part !== undefined).join(": ");
  const since = forMs === undefined ? "" : ` for ${Math.round(forMs / 1000)} s`;
  return `${message}${since}${reason === "" ? "" : `: ${reason}`}`;
}

function unhealthyShards({ shards }: Observed, thresholds: HealthThresholds) {
  const { stuckAfterMs = 300_000, failingAfterMs = 60_000 } = thresholds;
  const { laggingAfterMs = Infinity, retentionHeadroomBelowMs = 0 } = thresholds;
  const read = shards.filter(({ state, pausedBy }) => state !== "abandoned" && pausedBy !== "user");
  return {
    stuck: shards.filter(({ handlingForMs }) => handlingForMs > stuckAfterMs),
    unread: read.filter(({ unreadForMs }) => unreadForMs > failingAfterMs),
    unflushed: read.filter(({ unflushedForMs }) => unflushedForMs > failingAfterMs),
    lagging: read.filter(({ lagMs }) => lagMs > laggingAfterMs),
    expiring: read.filter(
      ({ retentionHeadroomMs = Infinity }) => retentionHeadroomMs < retentionHeadroomBelowMs,
    ),
  };
}

function startingOf(stage: keyof typeof STAGES, { shards, failingCalls }: Observed): Condition {
  const [failing] = failingCalls;
  const details =
    failing === undefined
      ? { why: shards.find(({ error }) => error)?.error }
      : { operation: failing.operation, forMs: failing.forMs, why: failing.error };
  return { kind: "starting", message: STAGES[stage], details };
}

function stoppingOf({ shards }: Observed): Condition {
  return {
    kind: "stopping",
    message: "the scan stops, and waits for shards to finish and flush their records",
    details: { shards: idsOf(shards).slice(0, MAX_SHARDS_NAMED), count: shards.length },
  };
}

function ofShards(
  kind: Condition["kind"],
  message: string,
  shards: readonly ShardStatus[],
): readonly Condition[] {
  if (shards.length === 0) return [];
  const why = shards.find(({ error }) => error)?.error;
  const named = idsOf(shards).slice(0, MAX_SHARDS_NAMED);
  return [{ kind, message, details: { shards: named, count: shards.length, why } }];
}

function idsOf(shards: readonly ShardStatus[]): readonly string[] {
  return shards.map(({ shardId }) => shardId);
}
