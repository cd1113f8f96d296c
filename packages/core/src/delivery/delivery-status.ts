import type { DeliveryStatus } from "./delivery.ts";
import type { Attempted, Failures } from "./failures.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import type { StartGate } from "./start-gate.ts";
import type { Tracker } from "./tracker.ts";

/**
 * The status of a delivery that makes several calls of the handler concurrently.
 * @param now by the monotonic clock
 * @param counts the counts that the delivery itself keeps
 */
export function deliveryStatus<Called, Job extends Attempted>(
  now: number,
  stations: {
    readonly gate: StartGate;
    readonly calls: HandlerCalls<Called>;
    readonly failures: Failures<Job>;
    readonly tracker: Tracker;
  },
  counts: Pick<DeliveryStatus, "keysHeldUp" | "recordsInFlight">,
): DeliveryStatus {
  const { gate, calls, failures, tracker } = stations;
  const { pausedBy } = gate;
  const startedAt = calls.oldestStart;
  const isHeldUp = failures.heldUp > 0;
  const waiting = pausedBy !== undefined ? "paused" : isHeldUp ? "retrying" : "idle";
  return {
    state: startedAt === undefined ? waiting : "handling",
    pausedBy,
    retry: failures.next(now),
    handlingForMs: now - (startedAt ?? now),
    oldest: tracker.oldest,
    isAtRecord: pausedBy === "user" || startedAt !== undefined || isHeldUp,
    ...counts,
  };
}
