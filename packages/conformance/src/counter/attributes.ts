/** The attributes of all metrics in the scenarios. */
export const WHERE = { stream: "orders", application: "billing" } as const;
export const SHARD_0 = { ...WHERE, shardId: "shardId-000000000000" } as const;
export const SHARD_1 = { ...WHERE, shardId: "shardId-000000000001" } as const;
