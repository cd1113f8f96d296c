import { sleep, Stopwatch, type Clock } from "../clock.ts";
import { ConfigError, KcError, NamespaceConflictError } from "../errors.ts";
import type { StreamDescription } from "../kinesis/described-stream.ts";
import { isSameStream } from "../kinesis/stream-id.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { ApplicationStart } from "./start-position.ts";
import type { StoreCalls } from "./store-calls.ts";
import type { ApplicationRow, StartPosition, StoreScope } from "./store.ts";

/** The service's clock is known only to the second, and the clocks of its machines differ a little. */
const START_MARGIN_MS = 5000;
/** A start in the near future is waited for, as after a clock that is fast. One further ahead is an error. */
const MAX_START_AHEAD_MS = 5 * 60_000;
/** How far the clocks of the service's machines may differ. */
const SERVICE_SPREAD_MS = 1000;

/**
 * Opens the application in its store. The first start is recorded before anything is read, and each later
 * start is compared with that record. If `start` is a little ahead of the service's clock, waits until that
 * time before writing anything.
 * @throws ConfigError for a start far ahead, NamespaceConflictError, KcError STREAM_RECREATED, StoreError
 */
export async function openApplication(options: {
  readonly calls: StoreCalls;
  readonly scope: StoreScope;
  readonly description: StreamDescription;
  readonly start: StartPosition;
  /** By the service's clock. */
  readonly serviceNow: () => Date;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}): Promise<ApplicationStart> {
  const { calls, scope, description, start, telemetry, signal } = options;
  await untilReadable(start, options);
  const sinceOpened = new Stopwatch(options.clock);
  const proposed = (migrated: boolean): ApplicationRow => ({
    ...scope,
    streamARN: description.streamARN,
    ...(description.creationTimestamp === undefined
      ? {}
      : { streamCreationTimestamp: description.creationTimestamp }),
    start,
    startedAt: new Date(options.serviceNow().getTime() - START_MARGIN_MS),
    migrated,
  });
  const checkpoints = await calls.retry("getCheckpoints", signal, (call) =>
    calls.store.getCheckpoints(scope, call),
  );
  const { outcome, row } = await calls.retry("openApplication", signal, (call) =>
    calls.store.openApplication(scope, proposed(checkpoints.size > 0), call),
  );
  refuseAnotherStream(row, scope, description);
  const firstStart = outcome === "created";
  if (!firstStart) await untilReadable(row.start, options);
  if (firstStart && row.migrated) {
    telemetry.warn(
      "checkpoints without an application row, as the Go library leaves them: reading continues " +
        "after them, and `start` applies once to shards that have none",
      { shards: checkpoints.size },
    );
  }
  if (!firstStart && describeStart(row.start) !== describeStart(start)) {
    telemetry.info("`start` applies to an application's first start only; it is kept as it was", {
      configured: describeStart(start),
      kept: describeStart(row.start),
    });
  }
  return { row, firstStart, sinceOpened };
}

/** Waits until the start time has passed: the service refuses to read from a time in the future. */
async function untilReadable(
  start: StartPosition,
  { serviceNow, clock, telemetry, signal }: Parameters<typeof openApplication>[0],
): Promise<void> {
  if (typeof start === "string") return;
  const aheadMs = start.timestamp.getTime() - serviceNow().getTime();
  if (aheadMs <= 0) return;
  if (aheadMs > MAX_START_AHEAD_MS) {
    throw new ConfigError(
      "start.timestamp",
      `${start.timestamp.toISOString()} is ${Math.round(aheadMs / 1000)} s ahead of the service's ` +
        `clock: nothing can be read from there yet. Set this machine's clock, or start at "LATEST". ` +
        `If an earlier start has stored it, delete the application's row in the store.`,
    );
  }
  const waitMs = aheadMs + SERVICE_SPREAD_MS;
  telemetry.warn("`start` is ahead of the service's clock: waiting until then", { waitMs });
  await sleep(clock, waitMs, signal);
  signal.throwIfAborted();
}

function refuseAnotherStream(
  row: ApplicationRow,
  scope: StoreScope,
  { streamARN, creationTimestamp }: StreamDescription,
): void {
  const another =
    row.application !== scope.application ||
    row.streamName !== scope.streamName ||
    (row.streamARN !== "" && streamARN !== "" && row.streamARN !== streamARN);
  if (another) {
    throw new NamespaceConflictError(
      `the checkpoints of application "${scope.application}" on ${streamARN || scope.streamName} ` +
        `would share their rows in this store with those of application "${row.application}" on ` +
        `${row.streamARN || row.streamName}. Give this application another name, or its store ` +
        `another table, key prefix or namespace.`,
    );
  }
  const recorded = row.streamCreationTimestamp;
  if (!isSameStream(recorded, creationTimestamp)) {
    throw new KcError(
      "STREAM_RECREATED",
      `stream ${scope.streamName} was created at ${creationTimestamp?.toISOString()}, but the ` +
        `checkpoints of application "${scope.application}" belong to a stream of that name created ` +
        `at ${recorded?.toISOString()}: it was deleted and recreated, so they mean ` +
        `nothing here. Use another application name, or delete this application's rows.`,
    );
  }
}

function describeStart(start: StartPosition): string {
  return typeof start === "string" ? start : start.timestamp.toISOString();
}
