/** The settings of a stream, apart from its shards and their retention. */
export interface StreamSettings {
  mode: "PROVISIONED" | "ON_DEMAND";
  /** How records are distributed over the shards; AUTO only in ON_DEMAND mode. */
  distribution: "AUTO" | "USER_PARTITION_KEY";
  /** Maximum size of data and partition key, in bytes. */
  maxRecordSize: number;
  /** MiB of writes per second; only in ON_DEMAND mode. */
  warmThroughput: number | undefined;
  /** The KMS key that encrypts new records; undefined = the stream is not encrypted. */
  keyId: string | undefined;
  /** The resource policy as JSON text. Stored, but not enforced. */
  policy: string | undefined;
  readonly tags: Map<string, string>;
  /** The enabled shard-level metrics. */
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
