import type { ConsumerStatus, ScanStage, ShardStatus } from "./status.ts";

export interface HealthThresholds {
  /** A handler that finishes no record for so many milliseconds is stuck. @default 300000 */
  readonly stuckAfterMs?: number;
  /**
   * These make the consumer unready once they last for so many milliseconds: a shard without a reply of
   * GetRecords, finished work that the store does not take, a call that fails. @default 60000
   */
  readonly troubledAfterMs?: number;
  /** A shard that is more milliseconds behind is lagging. @default Infinity */
  readonly laggingAfterMs?: number;
  /**
   * A shard whose `retentionHeadroomMs` is less is expiring: its records will be lost unread. A shard whose
   * headroom is not known is not expiring. @default 0
   */
  readonly retentionHeadroomBelowMs?: number;
}

/** The part of a status that health goes by. */
export type Observed = Pick<ConsumerStatus, "state" | "stage" | "shards" | "troubles">;

/** The answer for a probe: `alive` for liveness, `ready` for readiness. */
export interface Health {
  /** False = a restart would help: no scan runs, or a handler is stuck. */
  readonly alive: boolean;
  /** True = the start is over, and nothing has prevented reading, handling and flushing for long. */
  readonly ready: boolean;
  /** Why it is not ready, a sentence each; empty = it is. */
  readonly reasons: readonly string[];
  /** Shards whose handler is stuck: see `stuckAfterMs`. */
  readonly stuckShards: readonly string[];
  /** Shards without a reply of GetRecords: see `troubledAfterMs`. */
  readonly unreadShards: readonly string[];
  /** Shards that are far behind: see `laggingAfterMs`. */
  readonly laggingShards: readonly string[];
  /** Shards whose unread records retention will soon remove: see `retentionHeadroomBelowMs`. */
  readonly expiringShards: readonly string[];
}

/** Something that keeps a consumer from its work. */
export interface Condition {
  readonly kind: "idle" | "starting" | "stopping" | "stuck" | "unread" | "unflushed" | "failing" | "lagging" | "expiring"; // prettier-ignore
  /** Which one of its kind; undefined = there is one alone. */
  readonly of?: string;
  /** Fixed text. */
  readonly message: string;
  /** What varies; for a log line's fields. */
  readonly details: ConditionDetails;
}

export interface ConditionDetails {
  readonly shardId?: string;
  /** Some of the shards that it concerns, and how many they are. */
  readonly shards?: readonly string[];
  readonly count?: number;
  readonly operation?: string;
  readonly forMs?: number;
  /** What fails: the text of an error. */
  readonly why?: string | undefined;
}

/** A line that names more is not read to its end. */
const SHARDS_NAMED = 10;

const STAGES: Readonly<Record<Exclude<ScanStage, "reading">, string>> = {
  describing: "the stream is not described yet",
  opening: "the application is not opened in the store yet",
  joining: "this worker has not joined its group yet",
  listing: "no shards are known yet",
  polling: "no shard was read yet",
};

/** What a status means, pure. */
export function healthOf(status: Observed, thresholds: HealthThresholds = {}): Health {
  const conditions = conditionsOf(status, thresholds);
  const { stuck, unread, lagging, expiring } = troubledShards(status, thresholds);
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

/** Everything that makes the consumer unready. */
export function conditionsOf(
  status: Observed,
  thresholds: HealthThresholds = {},
): readonly Condition[] {
  const { state, stage, troubles } = status;
  if (state === "idle" || stage === undefined) {
    return [{ kind: "idle", message: "no scan is under way", details: {} }];
  }
  const { troubledAfterMs = 60_000 } = thresholds;
  const { stuck, unread, unflushed, lagging, expiring } = troubledShards(status, thresholds);
  const failing = troubles.filter(({ forMs }) => stage === "reading" && forMs > troubledAfterMs);
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

/** A condition as one sentence. */
function describeCondition({ message, details }: Condition): string {
  const { shardId, shards, count, operation, forMs, why } = details;
  const more = shards !== undefined && count! > shards.length ? ` and ${count! - shards.length} more` : ""; // prettier-ignore
  const what = [shardId, shards && `${shards.join(", ")}${more}`, operation, why];
  const reason = what.filter((part) => part !== undefined).join(": ");
  const since = forMs === undefined ? "" : ` for ${Math.round(forMs / 1000)} s`;
  return `${message}${since}${reason === "" ? "" : `: ${reason}`}`;
}

function troubledShards({ shards }: Observed, thresholds: HealthThresholds) {
  const { stuckAfterMs = 300_000, troubledAfterMs = 60_000 } = thresholds;
  const { laggingAfterMs = Infinity, retentionHeadroomBelowMs = 0 } = thresholds;
  const read = shards.filter(({ state, pausedBy }) => state !== "abandoned" && pausedBy !== "user");
  return {
    stuck: shards.filter(({ handlingForMs }) => handlingForMs > stuckAfterMs),
    unread: read.filter(({ unreadForMs }) => unreadForMs > troubledAfterMs),
    unflushed: read.filter(({ unflushedForMs }) => unflushedForMs > troubledAfterMs),
    lagging: read.filter(({ lagMs }) => lagMs > laggingAfterMs),
    expiring: read.filter(
      ({ retentionHeadroomMs = Infinity }) => retentionHeadroomMs < retentionHeadroomBelowMs,
    ),
  };
}

function startingOf(stage: keyof typeof STAGES, { shards, troubles }: Observed): Condition {
  const [trouble] = troubles;
  const details =
    trouble === undefined
      ? { why: shards.find(({ error }) => error)?.error }
      : { operation: trouble.operation, forMs: trouble.forMs, why: trouble.error };
  return { kind: "starting", message: STAGES[stage], details };
}

function stoppingOf({ shards }: Observed): Condition {
  return {
    kind: "stopping",
    message: "the scan stops, and waits for shards to finish and flush their records",
    details: { shards: idsOf(shards).slice(0, SHARDS_NAMED), count: shards.length },
  };
}

function ofShards(
  kind: Condition["kind"],
  message: string,
  shards: readonly ShardStatus[],
): readonly Condition[] {
  if (shards.length === 0) return [];
  const why = shards.find(({ error }) => error)?.error;
  const named = idsOf(shards).slice(0, SHARDS_NAMED);
  return [{ kind, message, details: { shards: named, count: shards.length, why } }];
}

function idsOf(shards: readonly ShardStatus[]): readonly string[] {
  return shards.map(({ shardId }) => shardId);
}
