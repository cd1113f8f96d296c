/** What the demo passes to its consumer process, as JSON in the first argument. */
export interface ConsumerArguments {
  readonly endpoint: string;
  readonly stream: string;
  /** The SQLite file with the checkpoints. */
  readonly checkpoints: string;
  /** The file to which the handler appends a line for each record. */
  readonly journal: string;
}

/** What the consumer process reports to the demo. `null` if the shard is no longer read. */
export interface ConsumerReport {
  readonly kind: "lag";
  readonly shardId: string;
  readonly lagMs: number | null;
}

export function readArguments(json: string | undefined): ConsumerArguments {
  if (json === undefined) throw new Error("this program is started by demo.js");
  return JSON.parse(json) as ConsumerArguments;
}
