/** What the demo passes to its consumer process, as JSON in the first argument. */
export interface ConsumerArguments {
  readonly endpoint: string;
  readonly stream: string;
  /** The SQLite file that keeps the checkpoints. */
  readonly checkpoints: string;
  /** The file that the handler appends a line to for each record. */
  readonly journal: string;
}

/** What the consumer process reports to the demo. `null` = the shard is no longer read. */
export interface ConsumerReport {
  readonly kind: "lag";
  readonly shardId: string;
  readonly lagMs: number | null;
}

export function readArguments(json: string | undefined): ConsumerArguments {
  if (json === undefined) throw new Error("this program is started by demo.js");
  return JSON.parse(json) as ConsumerArguments;
}
