/** What a stream is set to, apart from its shards and their retention. */
export interface StreamSettings {
  mode: "PROVISIONED" | "ON_DEMAND";
  /** How records are distributed over the shards; AUTO for streams in ON_DEMAND mode alone. */
  distribution: "AUTO" | "USER_PARTITION_KEY";
  /** Bytes of data and partition key. */
  maxRecordSize: number;
  /** MiB of writes a second; for streams in ON_DEMAND mode alone. */
  warmThroughput: number | undefined;
  /** The KMS key that encrypts new records; `undefined` while the stream is not encrypted. */
  keyId: string | undefined;
  /** The resource policy, a JSON text. It is kept, and decides nothing. */
  policy: string | undefined;
  readonly tags: Map<string, string>;
  /** The metrics that are enabled for single shards. */
  readonly shardLevelMetrics: Set<string>;
}

/** The service's defaults for a stream. */
export function defaultSettings(): StreamSettings {
  return {
    mode: "PROVISIONED",
    distribution: "USER_PARTITION_KEY",
    maxRecordSize: 1024 * 1024,
    warmThroughput: undefined,
    keyId: undefined,
    policy: undefined,
    tags: new Map(),
    shardLevelMetrics: new Set(),
  };
}
