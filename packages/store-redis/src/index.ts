export { RedisStore } from "./redis-store.ts";
export type { RedisConnection, RedisStoreOptions } from "./options.ts";
export type { RedisClient, RedisNode, RedisPipeline } from "./driver.ts";
export type { RedisTransaction, RedisValue } from "./transaction.ts";
