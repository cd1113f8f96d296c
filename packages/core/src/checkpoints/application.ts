import { Stopwatch, type Clock } from "../clock.ts";
import { KcError, NamespaceConflictError } from "../errors.ts";
import type { StreamDescription } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { ApplicationStart } from "./start-position.ts";
import type { StoreCalls } from "./store-calls.ts";
import type { ApplicationRow, StartPosition, StoreScope } from "./store.ts";

/** The service's clock is read to the second and its machines differ a little. */
const START_MARGIN_MS = 5000;

/**
 * Opens the application in its store: the first start is recorded before anything is read, and each
 * later one is held against that record.
 * @throws NamespaceConflictError, KcError STREAM_RECREATED, StoreError
 */
export async function openApplication(options: {
  readonly calls: StoreCalls;
  readonly scope: StoreScope;
  readonly description: StreamDescription;
  readonly start: StartPosition;
  readonly serviceNow: Date;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}): Promise<ApplicationStart> {
  const { calls, scope, description, start, telemetry, signal } = options;
  const sinceOpened = new Stopwatch(options.clock);
  const proposed = (migrated: boolean): ApplicationRow => ({
    ...scope,
    streamARN: description.streamARN,
    ...(description.creationTimestamp === undefined
      ? {}
      : { streamCreationTimestamp: description.creationTimestamp }),
    start,
    startedAt: new Date(options.serviceNow.getTime() - START_MARGIN_MS),
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
  if (firstStart && row.migrated) {
    telemetry.warn(
      "checkpoints without an application row, as the Go library leaves them: reading goes on " +
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
        `would share their place in this store with those of application "${row.application}" on ` +
        `${row.streamARN || row.streamName}. Give this application another name, or its store ` +
        `another table, key prefix or namespace.`,
    );
  }
  const recorded = row.streamCreationTimestamp?.getTime();
  // Stores and replies may cut or round to a second; nobody makes a stream anew within one.
  if (
    recorded !== undefined &&
    creationTimestamp !== undefined &&
    Math.abs(recorded - creationTimestamp.getTime()) > 1000
  ) {
    throw new KcError(
      "STREAM_RECREATED",
      `stream ${scope.streamName} was created at ${creationTimestamp.toISOString()}, but the ` +
        `checkpoints of application "${scope.application}" belong to a stream of that name created ` +
        `at ${new Date(recorded).toISOString()}: it was deleted and made anew, and they mean ` +
        `nothing here. Use another application name, or delete this application's rows.`,
    );
  }
}

function describeStart(start: StartPosition): string {
  return typeof start === "string" ? start : start.timestamp.toISOString();
}
