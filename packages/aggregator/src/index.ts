export { aggregate, type AggregateOptions, type StreamRecord } from "./aggregate.ts";
export { Aggregator, type AggregatorOptions } from "./aggregator.ts";
export { PutError } from "./put-error.ts";
export type { KinesisClientLike } from "./put-records.ts";
export type { ListedShard } from "./shard-map.ts";
export type { UserRecord } from "./user-record.ts";
