import type { Datum } from "./aggregate.ts";

/** The destination of an interval's metrics. */
export interface Sink {
  /** Resolves when the metrics are sent or lost. Never rejects. */
  send(data: readonly Datum[], at: Date): Promise<void>;
  /** Called once, when nothing more will be sent. */
  close(): void;
}

/** Called with the number of lost values. */
export type OnLost = (values: number) => void;

export interface Layout {
  readonly namespace: string;
  /** Dimensions of every metric, in addition to its own. */
  readonly dimensions: Readonly<Record<string, string>>;
  /** CloudWatch's storage resolution, in seconds: 1 for intervals below a minute. */
  readonly storageResolution: 1 | 60;
}
