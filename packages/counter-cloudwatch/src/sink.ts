import type { Datum } from "./aggregate.ts";

/** Where the metrics of an interval go. */
export interface Sink {
  /** Resolves when they are sent, or lost. Never rejects. */
  send(data: readonly Datum[], at: Date): Promise<void>;
  /** Nothing more is sent. */
  close(): void;
}

/** Called with the number of lost values. */
export type OnLost = (values: number) => void;

export interface Layout {
  readonly namespace: string;
  /** On every metric beside its own. */
  readonly dimensions: Readonly<Record<string, string>>;
  /** Of CloudWatch's storage, in seconds: 1 for intervals below a minute. */
  readonly storageResolution: 1 | 60;
}
