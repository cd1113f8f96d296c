import type { DeliveryStatus } from "../delivery/delivery.ts";
import type { ReaderStatus } from "../reading/shard-reader.ts";
import type { ShardStatus } from "../telemetry/status.ts";

/** Two years: the service keeps records for one year at most. */
const MAX_AGE_MS = 2 * 366 * 86_400_000;

/** The current step of a shard's work. */
export type Step =
  /** A handler of an earlier run still has a record of this shard. */
  | { readonly kind: "waiting" }
  | { readonly kind: "reading" }
  /** The last page is handled; the end of the shard is being confirmed and stored. */
  | { readonly kind: "ending" }
  /** `onShardClosed` has been running `since` that time, by the monotonic clock. */
  | { readonly kind: "closing"; readonly since: number };

export interface Work {
  /** When the shard was granted, by the monotonic clock. */
  readonly grantedAt: number;
  readonly step: Step;
  /** Undefined until reading begins. */
  readonly reader: ReaderStatus | undefined;
  readonly delivery: DeliveryStatus | undefined;
  /** The retention of the stream, in milliseconds; undefined = not known. */
  readonly retentionMs: number | undefined;
  /** The service's time of day, in milliseconds since the epoch. */
  readonly serviceNowMs: number;
}

export type WorkStatus = Pick<
  ShardStatus,
  | "state"
  | "pausedBy"
  | "retry"
  | "keysHeldUp"
  | "lagMs"
  | "retentionHeadroomMs"
  | "handlingForMs"
  | "recordsInFlight"
  | "sinceLastPollMs"
  | "unreadForMs"
>;

/** Combines the status of reader and delivery. Pure. @param now by the monotonic clock */
export function workStatus(now: number, work: Work): WorkStatus {
  const status = statusOf(now, work);
  // Before the first reply of GetRecords, the lag is not known.
  const isKnown = work.retentionMs !== undefined && (work.reader?.answered ?? false);
  return {
    ...status,
    retentionHeadroomMs: isKnown
      ? Math.max(0, work.retentionMs - unhandledMs(status.lagMs, work))
      : undefined,
  };
}

/**
 * The age of the oldest unhandled record. A page's lag is that of what follows the page: its own records are older, by
 * up to the whole retention where records are rare.
 */
function unhandledMs(lagMs: number, { reader, delivery, serviceNowMs }: Work): number {
  const arrivalMs = delivery?.oldest?.arrivalMs ?? reader?.arrivalMs ?? 0;
  const ageMs = serviceNowMs - arrivalMs;
  // Some servers report no times of arrival, or wrong ones.
  return arrivalMs > 0 && ageMs <= MAX_AGE_MS ? Math.max(lagMs, ageMs) : lagMs;
}

function statusOf(
  now: number,
  { grantedAt, step, reader, delivery }: Work,
): Omit<WorkStatus, "retentionHeadroomMs"> {
  if (reader === undefined || delivery === undefined) {
    return {
      state: "waiting",
      pausedBy: undefined,
      retry: undefined,
      keysHeldUp: 0,
      lagMs: now - grantedAt,
      handlingForMs: 0,
      recordsInFlight: 0,
      sinceLastPollMs: undefined,
      unreadForMs: now - grantedAt,
    };
  }
  const { oldest } = delivery;
  const work = {
    state: delivery.state === "idle" ? ("reading" as const) : delivery.state,
    pausedBy: delivery.pausedBy,
    retry: delivery.retry,
    keysHeldUp: delivery.keysHeldUp,
    lagMs:
      oldest === undefined ? reader.lagMs : oldest.millisBehindLatest + now - oldest.receivedAt,
    handlingForMs: delivery.handlingForMs,
    recordsInFlight: delivery.recordsInFlight + reader.recordsAhead,
    sinceLastPollMs: reader.sinceLastPollMs,
    unreadForMs: oldest !== undefined || reader.hasPage ? 0 : reader.overdueMs,
  };
  if (step.kind === "ending") return { ...work, lagMs: 0, unreadForMs: 0 };
  if (step.kind !== "closing") return work;
  return { ...work, state: "handling", lagMs: 0, handlingForMs: now - step.since, unreadForMs: 0 };
}
