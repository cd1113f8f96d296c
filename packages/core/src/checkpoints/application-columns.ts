import type { ApplicationRow, StartPosition } from "./store.ts";

/** An application row as the columns of a table. Times are milliseconds since the epoch. */
export interface ApplicationColumns {
  readonly application: string;
  readonly stream_name: string;
  readonly stream_arn: string;
  readonly stream_created_at: number | null;
  /** LATEST, TRIM_HORIZON or AT_TIMESTAMP. */
  readonly start: string;
  readonly start_timestamp: number | null;
  readonly started_at: number;
  readonly migrated: boolean;
}

export function applicationColumns(row: ApplicationRow): ApplicationColumns {
  const { start } = row;
  return {
    application: row.application,
    stream_name: row.streamName,
    stream_arn: row.streamARN,
    stream_created_at: row.streamCreationTimestamp?.getTime() ?? null,
    start: typeof start === "string" ? start : "AT_TIMESTAMP",
    start_timestamp: typeof start === "string" ? null : start.timestamp.getTime(),
    started_at: row.startedAt.getTime(),
    migrated: row.migrated,
  };
}

export function applicationOfColumns(columns: ApplicationColumns): ApplicationRow {
  const { stream_created_at: created } = columns;
  return {
    application: columns.application,
    streamName: columns.stream_name,
    streamARN: columns.stream_arn,
    ...(created === null ? {} : { streamCreationTimestamp: new Date(created) }),
    start: startOf(columns),
    startedAt: new Date(columns.started_at),
    migrated: columns.migrated,
  };
}

function startOf({ start, start_timestamp: timestamp }: ApplicationColumns): StartPosition {
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  return { timestamp: new Date(timestamp ?? NaN) };
}
